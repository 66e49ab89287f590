"""Flat and nested payloads: round trips, and what one write contains."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from qdrant_client import models

from llmrec_qdrant.space.conditions import only
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import BOOKKEEPING, Point, flat, nested, new_point, set_payload

names = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1).filter(
    lambda name: name != BOOKKEEPING and not name.startswith(f"{BOOKKEEPING}.")
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
readable = st.dictionaries(names, values, max_size=5)
bookkeeping = st.dictionaries(st.text(min_size=1), values, max_size=5)


@given(readable, bookkeeping)
def test_what_is_stored_is_read_back_flat_and_stored_the_same_again(
    shown: dict[str, Any], inside: dict[str, Any]
) -> None:
    stored = {**shown, BOOKKEEPING: inside} if inside else shown
    values = flat(stored)
    assert values == {**shown, **{f"bookkeeping.{name}": value for name, value in inside.items()}}
    assert json.dumps(nested(values)) == json.dumps(stored)  # also the order


@given(readable, bookkeeping)
def test_the_bookkeeping_comes_last_wherever_it_stood(shown: dict[str, Any], inside: dict[str, Any]) -> None:
    values = {**{f"bookkeeping.{name}": value for name, value in inside.items()}, **shown}
    assert list(nested(values)) == [*shown, *([BOOKKEEPING] if inside else [])]
    assert flat(nested(values)) == values


def test_a_bookkeeping_that_is_no_object_is_left_out() -> None:
    assert flat({"title": "Jaws", "bookkeeping": 7}) == {"title": "Jaws"}


def test_a_new_point_is_nested() -> None:
    point = new_point("p", {Key.STALE: True, Key.TITLE: "Jaws"}, {"dense": [1.0]})
    assert point.payload == {"title": "Jaws", "bookkeeping": {"stale": True}}
    assert point.vector == {"dense": [1.0]}


def test_readable_values_are_set_before_the_bookkeeping_that_speaks_of_them() -> None:
    condition = only("p")
    operations = set_payload({Key.STALE: True, Key.TITLE: "Jaws", Key.ATTEMPTS: 0}, condition)
    assert [operation.set_payload for operation in operations] == [
        models.SetPayload(payload={"title": "Jaws"}, filter=condition),
        models.SetPayload(payload={"stale": True, "attempts": 0}, filter=condition, key="bookkeeping"),
    ]
    (single,) = set_payload({Key.STALE: False}, condition)
    assert single.set_payload.key == "bookkeeping"
    assert set_payload({}, condition) == []


def test_a_null_counts_as_missing() -> None:
    point = Point.of(models.Record(id=7, payload={"title": None, "bookkeeping": {"legs": None}}))
    assert (point.id, point.get(Key.TITLE, "?"), point.get(Key.LEGS, []), point.get(Key.TEXT)) == ("7", "?", [], None)
    assert point.dense("dense") is None and point.sparse("tfidf") is None and point.score == 0.0
