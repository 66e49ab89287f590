"""The operations of an edit, by hand."""

from __future__ import annotations

from typing import Any

from qdrant_client import models

from llmrec_qdrant.space.conditions import only
from llmrec_qdrant.space.edits import edits, same_text
from llmrec_qdrant.space.layout import Key, new_item, new_user
from llmrec_qdrant.space.points import Point, nested

SOURCE: dict[str, Any] = {
    Key.ITEM_ID: "m1", Key.TITLE: "Solaris", Key.TEXT: "", "year": 1972, Key.TENANT: "", Key.SRC_HASH: "a",
}  # fmt: skip
STORED = Point("p", new_item(SOURCE) | {Key.STALE: False, Key.LEGS: ["dense"], Key.TERMS: ["sea"]})


def written(operations: list[Any]) -> list[tuple[dict[str, Any], str | None]]:
    """Values and the object they go into."""
    return [(operation.set_payload.payload, operation.set_payload.key) for operation in operations]


def test_the_same_source_changes_nothing() -> None:
    assert edits(STORED, SOURCE) == []


def test_a_new_field_leaves_the_vectors_valid() -> None:
    """And the text alone: it may have changed since it was read."""
    assert written(edits(STORED, {**SOURCE, "year": 1971})) == [({"year": 1971}, None)]


def test_a_new_text_is_stale_under_an_unknown_digest_before_it_is_written() -> None:
    operations = edits(STORED, {**SOURCE, Key.TITLE: "Stalker", Key.SRC_HASH: "b"})
    (first, _), *rest = written(operations)
    assert first["stale"] is True and first["src_hash"] not in {"a", "b"}
    assert [part for part, _ in rest] == [
        {"item_id": "m1", "title": "Stalker", "text": "", "year": 1972, "tenant": ""},
        {"src_hash": "b", "stale": True, "attempts": 0, "lease": None, "set_aside": False},
    ]


def test_a_text_of_another_write_under_this_digest_is_another_text() -> None:
    """Of two writes at the same time: the text of one, the digest of the other."""
    torn = Point("p", {**STORED.payload, Key.TITLE: "Stalker"})
    assert not same_text(torn.payload, SOURCE)
    (first, path), *_ = written(edits(torn, SOURCE))
    assert (first["stale"], path) == (True, "bookkeeping")


def test_a_field_that_is_set_to_null_is_removed() -> None:
    """Qdrant stores the null of a whole point, and removes a key that is set to null."""
    (removal,) = edits(STORED, {**SOURCE, "year": None})
    assert removal.delete_payload.keys == ["year"]
    assert edits(STORED, {**SOURCE, "rating": None}) == []
    assert edits(Point("p", {**STORED.payload, "rating": None}), SOURCE) == []


def test_only_what_is_passed_is_written() -> None:
    operations = edits(STORED, {**SOURCE, Key.TITLE: "Stalker", Key.SRC_HASH: "b"}, {Key.TITLE})
    assert [part for part, _ in written(operations)][1] == {"title": "Stalker"}


def test_fields_that_are_gone_are_deleted() -> None:
    source = {key: value for key, value in SOURCE.items() if key != "year"}
    *_, removal = edits(STORED, source)
    assert removal.delete_payload == models.DeletePayload(keys=["year"], filter=only("p"))


def test_a_gone_field_that_no_path_names_is_removed_with_the_whole_payload() -> None:
    stored = Point("p", {**STORED.payload, "a.b": 1})
    (operation,) = edits(stored, SOURCE)
    assert operation.overwrite_payload.payload == {
        "item_id": "m1", "title": "Solaris", "text": "", "year": 1972, "tenant": "",
        "topics": [], "topic_ids": [], "terms": ["sea"], "popularity": 0.0,
        "bookkeeping": {
            "src_hash": "a", "stale": True, "attempts": 0, "lease": None, "set_aside": False, "legs": ["dense"],
        },
    }  # fmt: skip


def test_all_keys_are_there_from_the_beginning_in_the_order_people_read_them() -> None:
    item = nested(new_item({**SOURCE, Key.TENANT: "acme"}))
    assert list(item) == [
        "item_id", "title", "text", "year", "topics", "topic_ids", "terms", "popularity", "tenant", "bookkeeping",
    ]  # fmt: skip
    user = nested(new_user("ann", "acme", "r1"))
    assert list(user) == [
        "user_id", "interests", "recent", "terms", "steer", "n_events", "updated_at", "tenant", "bookkeeping",
    ]  # fmt: skip
    assert user["bookkeeping"]["revision"] == "r1" and user["bookkeeping"]["stale"] is True
