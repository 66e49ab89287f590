"""One suite for embedded Qdrant and for a real server: both must give the same answers."""

from __future__ import annotations

import json
import urllib.request
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from llmrec_qdrant import (
    Event,
    InvalidFilter,
    InvalidInput,
    Item,
    NotFound,
    PartlyRejected,
    Recommendation,
    Recommender,
    SpaceConfig,
    SpaceMismatch,
    SpaceNotFound,
    WorkPending,
    WorkPendingWarning,
)
from llmrec_qdrant.space.ids import point_id, sparse_index
from llmrec_qdrant.testing import MemoryQueue
from tests.spaces import drop, fresh_name

CONFIG = SpaceConfig(model="hash", size=64, fields={"year": "integer", "lang": "keyword"})
DAY = 86_400
T0 = 1_700_000_000

FILMS = [
    ("m1", "Interstellar", "astronauts cross a wormhole to find a planet", 2014, "en"),
    ("m2", "The Martian", "an astronaut stranded on planet Mars grows potatoes", 2015, "en"),
    ("m3", "Gravity", "two astronauts adrift in space after an accident", 2013, "en"),
    ("m4", "Chef", "a cook opens a food truck and cooks sandwiches", 2014, "en"),
    ("m5", "Julie & Julia", "a blogger cooks every recipe of a French cook book", 2009, "en"),
    ("m6", "Ratatouille", "a rat cooks French recipes in a Paris restaurant", 2007, "en"),
    ("m7", "流浪地球", "科幻电影：人类推动地球离开太阳系", 2019, "zh"),
    ("m8", "舌尖上的中国", "纪录片：中国各地的美食与厨师", 2012, "zh"),
]


def items() -> list[Item]:
    return [
        Item(id=i, title=title, text=text, payload={"year": year, "lang": lang}) for i, title, text, year, lang in FILMS
    ]


def history(user: str, *ids: str, start: int = T0, kind: str = "view") -> list[Event]:
    return [Event(user=user, item=i, type=kind, ts=start + k * DAY) for k, i in enumerate(ids)]


def connect(where: dict[str, str], **more: Any) -> Recommender:
    return Recommender.connect(**where, space=fresh_name(), **more)


@pytest.fixture(params=["local", pytest.param("server", marks=pytest.mark.qdrant)])
def where(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "local":
        return {"path": ":memory:"}
    return {"url": request.getfixturevalue("qdrant_url")}


@pytest.fixture
def rec(where: dict[str, str]) -> Iterator[Recommender]:
    made = connect(where)
    made.create(CONFIG)
    made.upsert_items(items())
    yield made
    drop(made)


def watched(rec: Recommender) -> None:
    rec.track([*history("ann", "m1", "m2"), *history("bob", "m1", "m2", "m3"), *history("cat", "m4", "m5", "m6")])
    rec.reconcile()


def payload(rec: Recommender, item: str) -> dict[str, Any]:
    (found,) = rec._client.retrieve(rec._space.items, [point_id("item", item)], with_payload=True)
    return dict(found.payload or {})


def user_payload(rec: Recommender, user: str) -> dict[str, Any]:
    (found,) = rec._client.retrieve(rec._space.users, [point_id("user", user)], with_payload=True)
    return dict(found.payload or {})


def scored(listed: list[Recommendation]) -> list[tuple[str, float]]:
    """Ids with scores up to the last digits, in which embedded Qdrant varies from call to call."""
    return [(one.id, round(one.score, 6)) for one in listed]


# --- the space -----------------------------------------------------------------------------------


def test_create_twice_changes_nothing_and_keeps_the_configuration(rec: Recommender) -> None:
    before = rec.status()
    assert rec.create() == CONFIG
    assert rec.create(CONFIG) == CONFIG
    assert rec.status() == before


def test_create_may_add_fields_but_not_change_vectors(rec: Recommender) -> None:
    with pytest.raises(InvalidFilter, match=r"'kind'.*llmrec init --field kind:keyword"):
        rec.recommend("ann", filter={"kind": "film"})
    rec.create(CONFIG.model_copy(update={"fields": {**CONFIG.fields, "kind": "keyword"}}))
    assert rec.recommend("ann", filter={"kind": "film"}) == []
    with pytest.raises(SpaceMismatch, match="size 64 ≠ 128"):
        rec.create(CONFIG.model_copy(update={"size": 128}))


def test_another_process_sees_the_stored_configuration(rec: Recommender) -> None:
    assert Recommender(rec._client, rec._queue, rec._space.name).config == CONFIG


def test_a_space_of_another_format_or_of_somebody_else_is_refused(rec: Recommender) -> None:
    rec._client.update_collection(rec._space.items, metadata={"llmrec": {"format": 99}})
    with pytest.raises(SpaceMismatch, match="format 99"):
        Recommender(rec._client, rec._queue, rec._space.name).recommend("ann")
    rec._client.update_collection(rec._space.items, metadata={"llmrec": "mine"})
    with pytest.raises(SpaceMismatch, match="not made by llmrec"):
        Recommender(rec._client, rec._queue, rec._space.name).create(CONFIG)


def test_a_missing_space_is_named_with_the_command_that_makes_it(where: dict[str, str]) -> None:
    rec = connect(where)
    with pytest.raises(SpaceNotFound, match=f"llmrec init --space {rec._space.name}"):
        rec.recommend("ann")


# --- items ---------------------------------------------------------------------------------------


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


def test_a_new_price_is_stored_without_encoding_again(rec: Recommender) -> None:
    stamp = payload(rec, "m1")["embedded_at"]
    same = items()[0]
    rec.upsert_items([same.model_copy(update={"payload": {"lang": "fr", "price": 9.5}})])
    stored = payload(rec, "m1")
    assert stored["embedded_at"] == stamp and stored["stale"] is False
    assert stored["price"] == 9.5 and stored["lang"] == "fr" and "year" not in stored


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
    assert "256 characters, this one has 10,000" in receipt.rejected[0].reason
    assert "finite" in receipt.rejected[1].reason
    assert "1,000,000 characters, this one has 20,000,000" in receipt.rejected[2].reason
    assert payload(rec, "ok4")["legs"] == ["dense", "tfidf"]


def test_a_batch_larger_than_a_request_may_be_goes_in(rec: Recommender) -> None:
    big = [Item(id=f"b{k}", title="big", text="字" * 900_000) for k in range(40)]  # 108 MB as UTF-8
    assert rec.upsert_items(big).written == 40
    texts = [Event(user="u", type="review", item="b1", text="字" * 900_000, ts=k) for k in range(40)]
    assert rec.track(texts).written == 40
    assert (rec.status().items, rec.status().events, rec.status().texts_stale) == (48, 40, 0)


def test_deleted_items_are_gone_from_every_list(rec: Recommender) -> None:
    watched(rec)
    assert rec.delete_items(["m3", "never-was"]) == 1
    assert "m3" not in [one.id for one in rec.recommend("ann", exclude_seen=False)]
    with pytest.raises(NotFound, match="'m3'"):
        rec.similar_items("m3")


# --- events and users ----------------------------------------------------------------------------


def test_recommendations_follow_the_history(rec: Recommender) -> None:
    watched(rec)
    ids = [one.id for one in rec.recommend("ann", 3)]
    assert ids[0] == "m3", ids  # the third space film, and what bob went on to
    assert not {"m1", "m2"} & set(ids)
    assert {one.id for one in rec.recommend("cat", 3, exclude_seen=False)} == {"m4", "m5", "m6"}


def test_explain_gives_scores_per_leg_without_changing_the_list(rec: Recommender) -> None:
    watched(rec)
    plain = rec.recommend("ann", 5)
    told = rec.recommend("ann", 5, explain=True)
    assert scored(told) == scored(plain)
    assert plain[0].legs == {} and set(told[0].legs) == {"dense", "tfidf", "collab"}
    assert "astronauts" in told[0].reason and "chosen next" in told[0].reason


def test_collab_leg_is_the_sparse_product_of_history_and_cooccurrence(rec: Recommender) -> None:
    """ann: m2 then m1 back, weights 1 and 0.6·2^(-1/30), norm 1; m3 follows m2 at one step, m1 at two (bob)."""
    watched(rec)
    back = 0.6 * 0.5 ** (1 / 30)
    norm = (1 + back**2) ** 0.5
    after_m2 = 1 / 2**0.5  # one step forward; m2 has two events
    after_m1 = 2**-0.5 / 2**0.5  # two steps
    expected = (1 * after_m2 + back * after_m1) / norm
    told = rec.recommend("ann", 5, explain=True)
    assert told[0].id == "m3" and told[0].legs["collab"] == pytest.approx(expected, rel=1e-5)


def test_tracking_the_same_events_twice_changes_nothing(rec: Recommender) -> None:
    watched(rec)
    before, status = rec.recommend("ann", 5), rec.status()
    watched(rec)
    assert scored(rec.recommend("ann", 5)) == scored(before) and rec.status() == status


def test_an_event_with_an_id_can_be_corrected(rec: Recommender) -> None:
    rec.track([Event(id="e1", user="ann", item="m4", type="rating", value=1, ts=T0)])
    rec.track([Event(id="e1", user="ann", item="m4", type="rating", value=5, ts=T0)])
    assert rec.status().events == 1
    assert rec.recommend("ann", 1, exclude_seen=False)[0].id == "m4"


def test_an_event_for_an_item_that_comes_later_counts_from_then_on(rec: Recommender) -> None:
    rec.track(history("dan", "later"))
    assert user_payload(rec, "dan")["waiting"] == ["later"]
    assert rec.recommend("dan", 3)[0].reason == "popular: nothing suits what is known of 'dan'"
    rec.upsert_items([Item(id="later", title="Moon", text="an astronaut alone on the moon")])
    stored = user_payload(rec, "dan")
    assert stored["waiting"] == [] and "dense" in stored["legs"]
    assert rec.status().users_stale == 0
    assert rec.recommend("dan", 1)[0].id in {"m1", "m2", "m3"}


def test_events_that_came_before_their_items_count_for_collab_too(where: dict[str, str]) -> None:
    rec = connect(where)
    rec.create(CONFIG)
    watched(rec)
    rec.upsert_items(items())
    rec.reconcile()
    assert payload(rec, "m1")["popularity"] == 2.0
    assert "collab" in rec.recommend("ann", 3, explain=True)[0].legs
    drop(rec)


def test_dislikes_and_low_ratings_push_away(rec: Recommender) -> None:
    rec.track([*history("eve", "m1", "m4"), Event(user="eve", item="m5", type="dislike", ts=T0 + 9 * DAY)])
    scores = {one.id: one.legs["dense"] for one in rec.recommend("eve", 8, explain=True, exclude_seen=False)}
    assert scores["m5"] < 0


def test_free_text_counts(rec: Recommender) -> None:
    rec.track([Event(user="fay", type="search", text="科幻电影", ts=T0)])
    first = rec.recommend("fay", 1, explain=True)[0]
    assert first.id == "m7" and "科幻" in first.reason
    assert rec.status().texts_stale == 0


def test_an_unknown_user_gets_the_popular_items_and_is_told(rec: Recommender) -> None:
    watched(rec)
    listed = rec.recommend("nobody", 2)
    assert {one.id for one in listed} == {"m1", "m2"}
    assert [one.score for one in listed] == [2.0, 2.0]
    assert all(one.reason == "popular: there are no events of 'nobody' yet" for one in listed)
    assert [one.id for one in rec.recommend("nobody", 1, filter={"year": 2007})] == ["m6"]


def test_what_is_popular_and_what_is_new(rec: Recommender) -> None:
    watched(rec)
    popular = rec.top(2)
    assert {one.id for one in popular} == {"m1", "m2"}
    assert [(one.score, one.reason) for one in popular] == [(2.0, "by popularity")] * 2
    newest = [one.payload["year"] for one in rec.top(4, by="year")]
    assert newest == sorted((one.payload["year"] for one in items()), reverse=True)[:4]
    assert {one.payload["year"] for one in rec.top(8, by="year", filter={"year": {"lt": 2000}})} < set(range(2000))
    with pytest.raises(InvalidInput, match="'titel'"):
        rec.top(by="titel")


def test_a_forgotten_user_is_a_new_user(rec: Recommender) -> None:
    watched(rec)
    rec.track([Event(user="ann", type="search", text="space", ts=T0)])
    before = rec.status()
    assert rec.forget_user("ann") == 3
    after = rec.status()
    assert (before.events - after.events, before.users - after.users, before.texts - after.texts) == (3, 1, 1)
    assert rec.recommend("ann", 1)[0].reason.startswith("popular")
    assert rec.forget_user("ann") == 0


def test_good_events_go_in_beside_bad_ones(rec: Recommender) -> None:
    bad: list[Any] = [
        {"user": "g", "item": "m1", "type": "view", "ts": T0},
        {"user": "g", "item": "m1", "type": "rating", "value": float("nan"), "ts": T0},
        {"user": "g\x00", "item": "m1", "type": "view"},
        {"user": "g", "type": "view"},
        {"user": "g", "item": "m1", "type": "view", "ts": "2999-01-01"},
        {"user": "g", "item": "m2", "type": "view", "ts": T0 + 1},
    ]
    with pytest.raises(PartlyRejected) as caught:
        rec.track(bad)
    assert [one.position for one in caught.value.receipt.rejected] == [1, 2, 3, 4]
    assert rec.status().events == 2 and user_payload(rec, "g")["seen"] == ["m2", "m1"]


def test_a_list_may_hold_what_was_taken_last_and_nothing_else_of_the_past(rec: Recommender) -> None:
    past = ["m1", "m2", "m3"]
    rec.track(history("ann", *past))
    listed = {
        seen: {one.id for one in rec.recommend("ann", 20, exclude_seen=seen)} for seen in (True, "but_last", False)
    }
    assert listed[True].isdisjoint(past)
    assert listed["but_last"] == listed[True] | {past[-1]}
    assert listed[False] == listed[True] | set(past)
    rec.track(history("ann", "m4", start=T0 + 10 * DAY, kind="dislike"))  # not taken: it does not come back
    rec.track([Event(user="ann", type="search", text="space", ts=T0 + 11 * DAY)])
    again = {one.id for one in rec.recommend("ann", 20, exclude_seen="but_last")}
    assert "m3" in again and again.isdisjoint({"m1", "m2", "m4"})
    rec.track(history("eve", "m4", kind="dislike"))
    assert "m4" not in {one.id for one in rec.recommend("eve", 20, exclude_seen="but_last")}


@pytest.mark.parametrize("odd", ["last", "", 1, None, [], np.array([True, False]), object()])
def test_what_says_nothing_of_seen_items_is_refused(rec: Recommender, odd: Any) -> None:
    for ask in (rec.recommend, rec.request, rec.shelves):
        with pytest.raises(InvalidInput, match="exclude_seen must be True, False or 'but_last', not"):
            ask("nobody", exclude_seen=odd)


def test_newest_events_weigh_most(rec: Recommender) -> None:
    rec.track(history("moving", "m4", "m5", "m6", "m1", "m2"))
    assert rec.recommend("moving", 1)[0].id == "m3"
    rec.track(history("back", "m1", "m2", "m3", "m4", "m5"))
    assert rec.recommend("back", 1)[0].id == "m6"


# --- lists ---------------------------------------------------------------------------------------


def test_filter_exclude_limit(rec: Recommender) -> None:
    watched(rec)
    assert {one.id for one in rec.recommend("ann", 9, filter={"lang": "zh"})} == {"m7", "m8"}
    assert "m3" not in {one.id for one in rec.recommend("ann", 9, exclude=["m3"])}
    assert len(rec.recommend("ann", 1)) == 1
    for limit in (0, -1, 1001, True):
        with pytest.raises(InvalidInput, match="limit must be"):
            rec.recommend("ann", limit)
    with pytest.raises(InvalidInput, match="exclude must be a list"):
        rec.recommend("ann", exclude="m3")
    with pytest.raises(InvalidInput, match="diversity"):
        rec.recommend("ann", diversity=2)


def test_weights_choose_the_legs(rec: Recommender) -> None:
    watched(rec)
    only = rec.recommend("ann", 5, weights={"collab": 1}, explain=True)
    assert all(set(one.legs) == {"collab"} for one in only)
    assert only[0].id == "m3"
    with pytest.raises(InvalidInput, match="weights"):
        rec.recommend("ann", weights={"colab": 1})  # type: ignore[dict-item]


def test_diversity_mixes(rec: Recommender) -> None:
    rec.track(history("ann", "m1"))
    plain = [one.id for one in rec.recommend("ann", 2, filter={"lang": "en"})]
    mixed = [one.id for one in rec.recommend("ann", 2, filter={"lang": "en"}, diversity=0.9)]
    assert set(plain) == {"m2", "m3"}
    assert mixed[0] == plain[0] and mixed[1] in {"m4", "m5", "m6"}


def test_similar_items(rec: Recommender) -> None:
    watched(rec)
    listed = rec.similar_items("m1", 2, explain=True)
    assert {one.id for one in listed} == {"m2", "m3"} and "collab" in listed[0].legs
    assert "m1" not in {one.id for one in rec.similar_items("m1", 8)}


def test_similar_users(rec: Recommender) -> None:
    watched(rec)
    assert rec.similar_users("ann", 2)[0].id == "bob"
    with pytest.raises(NotFound, match="'nobody'"):
        rec.similar_users("nobody")


def test_recommend_from_examples(rec: Recommender) -> None:
    watched(rec)
    assert rec.recommend_from(["m1", "m2"], limit=1)[0].id == "m3"
    assert rec.recommend_from(["m4", "unknown"], ["m1"], limit=2)[0].id in {"m5", "m6"}
    assert not {"m1", "m2", "m4"} & {one.id for one in rec.recommend_from(["m1", "m2"], ["m4"])}
    with pytest.raises(NotFound, match="none of the items"):
        rec.recommend_from(["unknown"])
    with pytest.raises(InvalidInput, match="lists of item ids"):
        rec.recommend_from("m1")


def test_search(rec: Recommender) -> None:
    assert rec.search("French recipes", limit=1)[0].id in {"m5", "m6"}
    assert rec.search("美食", limit=1)[0].id == "m8"
    rec.track(history("ann", "m1", "m2"))
    assert {one.id for one in rec.search("astronauts", user="ann", limit=3)} == {"m1", "m2", "m3"}
    for text in ("", "  ", "x" * 2001, 5, None):
        with pytest.raises(InvalidInput, match="2,000 characters"):
            rec.search(text)  # type: ignore[arg-type]


def test_search_without_a_worker_says_so(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmrec_qdrant.operations.search.PATIENCE", 0.1)
    idle = Recommender(rec._client, MemoryQueue(), rec._space.name)
    with pytest.raises(WorkPending, match="start one with"):
        idle.search("a text nobody has asked for")
    assert rec.search("a text nobody has asked for") is not None


def test_request_is_what_recommend_sends(rec: Recommender, where: dict[str, str]) -> None:
    watched(rec)
    body = json.loads(json.dumps(rec.request("ann", 5)))
    assert {one["using"] for one in body["prefetch"]} == {"dense", "tfidf", "collab"}
    listed = rec.recommend("ann", 5, exclude_seen=False)
    if "url" not in where:
        return
    url = f"{where['url']}/collections/{rec._space.items}/points/query"
    post = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(post) as answer:
        points = json.load(answer)["result"]["points"]
    assert [(one["payload"]["item_id"], pytest.approx(one["score"])) for one in points] == [
        (one.id, one.score) for one in listed
    ]


@pytest.mark.parametrize("odd", ["\ud800", "", "a\x00", "x" * 300, None, 1.5])
def test_what_cannot_be_an_id_is_refused_wherever_one_is_taken(rec: Recommender, odd: Any) -> None:
    calls: list[Any] = [
        lambda: rec.recommend(odd), lambda: rec.similar_items(odd), lambda: rec.similar_users(odd),
        lambda: rec.recommend("ann", exclude=[odd]), lambda: rec.recommend_from([odd]), lambda: rec.request(odd),
        lambda: rec.delete_items([odd]), lambda: rec.forget_user(odd),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(InvalidInput, match="id"):
            call()


def test_options_of_the_wrong_kind_are_refused(rec: Recommender) -> None:
    for options in ({"diversity": "x"}, {"diversity": None}, {"exclude": 5}, {"limit": "3"}, {"weights": 3}):
        with pytest.raises(InvalidInput):
            rec.recommend("ann", **options)  # type: ignore[arg-type]
    for single in (Item(id="a"), {"id": "a"}, "a", 5):
        with pytest.raises(InvalidInput, match="expected a list; wrap a single item or event"):
            rec.upsert_items(single)  # type: ignore[arg-type]


def test_a_field_with_a_dot_or_a_bracket_can_be_dropped(rec: Recommender) -> None:
    rec.upsert_items([Item(id="odd", title="odd", payload={"a.b": 1, "a[": 2, "$x": 3, "keep": 4})])
    rec.upsert_items([Item(id="odd", title="odd", payload={"keep": 4})])
    stored = payload(rec, "odd")
    assert stored["keep"] == 4 and not {"a.b", "a[", "$x"} & stored.keys()
    assert rec.upsert_items([Item(id="odd", title="odd", payload={"keep": 4})]).unchanged == 1


# --- tenants -------------------------------------------------------------------------------------


def test_tenants_do_not_see_each_other(where: dict[str, str]) -> None:
    plain = connect(where)
    plain.create(CONFIG)
    red = Recommender(plain._client, plain._queue, plain._space.name, tenant="red")
    blue = Recommender(plain._client, plain._queue, plain._space.name, tenant="blue")
    red.upsert_items(items()[:3])
    blue.upsert_items([one.model_copy(update={"title": "blue"}) for one in items()[:6]])
    for one in (red, blue):
        one.track(
            [*history("ann", "m1", "m2"), *history("bob", "m1", "m3"), Event(user="ann", type="search", text="space")]
        )
        one.reconcile()
    assert {one.title for one in red.recommend("ann", exclude_seen=False)} == {"Interstellar", "The Martian", "Gravity"}
    assert {one.title for one in blue.recommend("ann", exclude_seen=False)} == {"blue"}
    assert {one.title for one in blue.search("planet")} == {"blue"}
    assert {one.title for one in red.recommend("nobody")} == {"Interstellar", "The Martian", "Gravity"}
    assert len(red.similar_items("m1")) == 2 and len(red.recommend_from(["m1"])) == 2
    assert [one.id for one in red.similar_users("ann")] == ["bob"]
    assert (red.status().items, blue.status().items, red.status().events) == (3, 6, 5)
    with pytest.raises(PartlyRejected, match="'blue' is not 'red', the tenant"):
        red.upsert_items([Item(id="x", title="x", tenant="blue")])
    assert blue.delete_items(["m1"]) == 1 and red.status().items == 3
    assert red.forget_user("ann") == 3 and blue.status().events == 5
    drop(plain)


def test_every_request_of_a_bound_recommender_carries_the_tenant(where: dict[str, str]) -> None:
    rec = connect(where, tenant="red")
    rec.create(CONFIG)
    rec.upsert_items(items())
    rec.track(history("ann", "m1"))
    body = rec.request("ann", filter={"year": 2014})
    wanted = {"key": "tenant", "match": {"value": "red"}}
    assert body["prefetch"] and all(wanted in json_conditions(one["filter"]) for one in body["prefetch"])
    drop(rec)


def json_conditions(node: Any) -> list[Any]:
    """All conditions that must hold in a JSON filter."""
    found: list[Any] = []
    for one in node.get("must", []):
        found += [one, *json_conditions(one)] if isinstance(one, dict) else []
    return found


# --- a dead queue --------------------------------------------------------------------------------


def test_writes_land_while_no_worker_can_be_told(rec: Recommender) -> None:
    deaf = Recommender(rec._client, MemoryQueue(down=True), rec._space.name)
    with pytest.warns(WorkPendingWarning, match="work is pending"):
        receipt = deaf.upsert_items([Item(id="n1", title="new astronauts in space")])
    assert receipt.written == 1 and receipt.queued is False
    with pytest.warns(WorkPendingWarning):
        assert deaf.track(history("ann", "n1")).queued is False
    status = deaf.status()
    assert (status.items_stale, status.users_stale, status.events_unfolded) == (1, 1, 1)
    assert deaf.recommend("ann", 1)[0].reason.endswith("are not encoded yet")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rec.reconcile()
    status = rec.status()
    assert (status.items_stale, status.users_stale, status.events_unfolded) == (0, 0, 0)
    assert rec.recommend("ann", 1)[0].id in {"m1", "m2", "m3"}
