"""Items: what is stored, encoded again, refused and deleted."""

from __future__ import annotations

from typing import Any

import pytest

from llmrec_qdrant import (
    Event,
    Item,
    NotFound,
    PartlyRejected,
    Recommender,
    operations,
)
from llmrec_qdrant.operations.steps import Call, _perform
from llmrec_qdrant.space.ids import point_id, sparse_index
from llmrec_qdrant.testing import MemoryQueue
from tests.films import items, payload, watched


def test_items_are_stored_readable_and_encoded(rec: Recommender) -> None:
    stored = payload(rec, "m1")
    assert stored["title"] == "Interstellar" and stored["year"] == 2014
    assert stored["stale"] is False and stored["legs"] == ["dense", "tfidf"]
    assert "wormhole" in stored["terms"]
    status = rec.status()
    assert (status.items, status.items_stale, status.items_unreadable) == (8, 0, 0)


def test_writing_the_same_again_changes_nothing(rec: Recommender) -> None:
    stamp = payload(rec, "m1")["embedded_at"]
    receipt = rec.upsert_items(items())
    assert (receipt.written, receipt.unchanged) == (0, 8)
    assert payload(rec, "m1")["embedded_at"] == stamp


def test_a_new_price_keeps_title_text_and_other_fields(rec: Recommender) -> None:
    """A shop updates a price with what it has at hand: the id and the price."""
    before = payload(rec, "m1")
    receipt = rec.upsert_items([{"id": "m1", "payload": {"price": 9.5}}])
    after = payload(rec, "m1")
    assert (receipt.written, receipt.unchanged, receipt.textless) == (1, 0, 0)
    assert after == before | {"price": 9.5}  # embedded_at, stale and the digest included: nothing was encoded again


def test_a_new_title_keeps_the_text_and_encodes_both(rec: Recommender) -> None:
    rec.upsert_items([{"id": "m3", "title": "Schwerkraft"}])
    (item,) = rec.get_items(["m3"])
    assert item.title == "Schwerkraft" and item.text.startswith("two astronauts adrift")
    assert item.payload == {"year": 2013, "lang": "en"}
    whole = Item(id="m3x", title="Schwerkraft", text=item.text)
    rec.upsert_items([whole])
    first, second = payload(rec, "m3"), payload(rec, "m3x")
    assert first["terms"] == second["terms"] and first["stale"] is False


def test_an_empty_title_that_is_passed_empties_it(rec: Recommender) -> None:
    rec.upsert_items([{"id": "m1", "title": ""}])
    assert rec.get_items(["m1"])[0].title == ""


def test_replace_drops_what_is_not_passed(rec: Recommender) -> None:
    stamp = payload(rec, "m1")["embedded_at"]
    same = items()[0].model_copy(update={"payload": {"lang": "fr", "price": 9.5}})
    rec.upsert_items([same], replace=True)
    stored = payload(rec, "m1")
    assert stored["embedded_at"] == stamp and stored["stale"] is False
    assert stored["price"] == 9.5 and stored["lang"] == "fr" and "year" not in stored
    assert rec.upsert_items([Item(id="m1")], replace=True).textless == 1
    assert payload(rec, "m1")["title"] == ""


def test_inputs_with_one_id_in_a_batch_add_up(rec: Recommender) -> None:
    receipt = rec.upsert_items(
        [{"id": "n", "title": "New"}, {"id": "n", "payload": {"year": 1}}, {"id": "n", "text": "t"}]
    )
    assert (receipt.written, receipt.duplicates) == (1, 2)
    (item,) = rec.get_items(["n"])
    assert (item.title, item.text, item.payload) == ("New", "t", {"year": 1})


def test_two_writers_of_one_new_item_lose_nothing(rec: Recommender) -> None:
    """Both read that the item is new; the one that inserts second must still change what the first one stored."""
    two = Recommender(rec.client, MemoryQueue(), rec.space)
    steps = operations.items.upsert_items(rec._bound(), [{"id": "race", "title": "A", "payload": {"a": 1}}])
    effect: Any = next(steps)
    other = False
    try:
        while True:
            if isinstance(effect, Call) and effect.method == "upsert" and not other:
                other = bool(two.upsert_items([{"id": "race", "text": "B", "payload": {"b": 2}}]))
            effect = steps.send(_perform(effect, rec.client, MemoryQueue()))
    except StopIteration:
        pass
    assert other
    (item,) = rec.get_items(["race"])
    assert (item.title, item.text, item.payload) == ("A", "B", {"a": 1, "b": 2})
    rec.reconcile()
    assert payload(rec, "race")["stale"] is False


def test_update_items_changes_fields_only(rec: Recommender) -> None:
    before = payload(rec, "m1")
    with pytest.raises(PartlyRejected, match="3 of the items were refused, 1 are stored") as caught:
        rec.update_items([
            {"id": "m1", "payload": {"price": 5, "year": 2015}},
            {"id": "unknown", "payload": {"price": 5}},
            {"id": "m2", "title": "other"},
            {"id": "m4", "payload": {"year": "long ago"}},
        ])  # fmt: skip
    reasons = [(line.position, line.reason) for line in caught.value.receipt.rejected]
    assert reasons[0] == (1, "there is no item 'unknown': upsert_items stores new items")
    assert reasons[1] == (2, "update_items changes own fields only, not title: pass it to upsert_items")
    assert reasons[2][0] == 3 and "year" in reasons[2][1]
    assert payload(rec, "m1") == before | {"price": 5, "year": 2015}
    assert rec.get_items(["unknown"]) == []


def test_a_new_text_gets_new_vectors_and_keeps_what_workers_own(rec: Recommender) -> None:
    watched(rec)
    before = payload(rec, "m3")
    rec.upsert_items([Item(id="m3", title="Gravity", text="a gardener plants roses")])
    after = payload(rec, "m3")
    assert "roses" in after["terms"] and "astronauts" not in after["terms"] and after["stale"] is False
    assert after["popularity"] == before["popularity"] == 1.0
    (point,) = rec._client.retrieve(rec._space.items, [point_id("item", "m3")], with_vectors=["collab"])
    assert point.vector and sparse_index("m2") in point.vector["collab"].indices  # type: ignore[index,union-attr]


def test_duplicate_ids_in_a_batch_keep_the_last(rec: Recommender) -> None:
    receipt = rec.upsert_items([Item(id="d", title="first"), Item(id="d", title="second")])
    assert (receipt.written, receipt.duplicates) == (1, 1)
    assert payload(rec, "d")["title"] == "second"


def test_an_item_without_text_is_stored_and_counted(rec: Recommender) -> None:
    assert rec.upsert_items([Item(id="silent")]).textless == 1
    assert payload(rec, "silent")["legs"] == []
    assert rec.status().items_unreadable == 1


def test_good_items_go_in_beside_bad_ones(rec: Recommender) -> None:
    bad: list[Any] = [
        {"id": "ok1", "title": "fine"},
        {"id": "x" * 10_000, "title": "long id"},
        {"id": "ok2", "title": "fine too", "payload": {"price": float("nan")}},
        {"id": "ok3", "text": "y" * 20_000_000},
        {"title": "no id"},
        "not an object",
        {"id": "ok4", "title": "fine again"},
    ]
    with pytest.raises(PartlyRejected, match="5 of the items were refused, 2 are stored") as caught:
        rec.upsert_items(bad)
    receipt = caught.value.receipt
    assert [one.position for one in receipt.rejected] == [1, 2, 3, 4, 5]
    assert "256 characters, and this one has 10,000" in receipt.rejected[0].reason
    assert "finite" in receipt.rejected[1].reason
    assert "1,000,000 characters, and this one has 20,000,000" in receipt.rejected[2].reason
    assert payload(rec, "ok4")["legs"] == ["dense", "tfidf"]


def test_a_batch_larger_than_a_request_may_be_goes_in(rec: Recommender) -> None:
    big = [Item(id=f"b{k}", title="big", text="字" * 900_000) for k in range(40)]  # 108 MB as UTF-8
    assert rec.upsert_items(big).written == 40
    texts = [Event(user="u", type="review", item="b1", text="字" * 900_000, ts=1_600_000_000 + k) for k in range(40)]
    assert rec.track(texts).written == 40
    assert (rec.status().items, rec.status().events, rec.status().texts_stale) == (48, 40, 0)


def test_deleted_items_are_gone_from_every_list(rec: Recommender) -> None:
    watched(rec)
    assert rec.delete_items(["m3", "never-was"]) == 1
    assert "m3" not in [one.id for one in rec.recommend("ann", exclude_seen=False)]
    with pytest.raises(NotFound, match="'m3'"):
        rec.similar_items("m3")


def test_a_field_with_a_dot_or_a_bracket_can_be_dropped(rec: Recommender) -> None:
    rec.upsert_items([Item(id="odd", title="odd", payload={"a.b": 1, "a[": 2, "$x": 3, "keep": 4})])
    rec.upsert_items([Item(id="odd", title="odd", payload={"keep": 4})], replace=True)
    stored = payload(rec, "odd")
    assert stored["keep"] == 4 and not {"a.b", "a[", "$x"} & stored.keys()
    assert rec.upsert_items([Item(id="odd", title="odd", payload={"keep": 4})]).unchanged == 1
