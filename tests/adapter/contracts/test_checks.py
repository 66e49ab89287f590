"""What all contracts share: ids, frozen models, and refusals in one sentence."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from llmrec_qdrant import Event, InvalidInput, Item, Receipt, Recommendation, SpaceConfig
from llmrec_qdrant.contracts.answers import Rejected
from llmrec_qdrant.contracts.messages import (
    EmbedItems,
    Reconcile,
)

MOMENT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)  # Unix second 1,700,000,000


def event(**fields: Any) -> Event:
    return Event(**{"user": "alice", "type": "view", "item": "tt1", "ts": 1_700_000_000, **fields})


def refusal(model: Any, /, **fields: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        model(**fields)
    assert type(caught.value) is InvalidInput
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("tt1", "tt1"), (1, "1"), (0, "0"), (-5, "-5"), ("a" * 256, "a" * 256), ("a b", "a b"),
        ("星际穿越", "星际穿越"), ("🎬👨‍👩‍👧", "🎬👨‍👩‍👧"), ("星" * 256, "星" * 256), ("a/b?c#d%20", "a/b?c#d%20"),
        ("'; drop table", "'; drop table"), (318.0, "318"), (Decimal("318.00"), "318"), (2**53 + 1, "9007199254740993"),
        (np.int64(2**62 + 1), "4611686018427387905"), (np.float32(7), "7"), ("007", "007"), ("318.0", "318.0"), ("1e3", "1e3"),
    ],
)  # fmt: skip
def test_an_id_is_kept_as_it_is_and_an_integer_becomes_text(given: object, expected: str) -> None:
    assert Item(id=given).id == expected
    named = event(user=given, item=given, session=given, id=given)
    assert named.model_dump(include={"user", "item", "session", "id"}) == {
        "user": expected, "item": expected, "session": expected, "id": expected,
    }  # fmt: skip
    assert Item(id="x", tenant=given).tenant == expected


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "an id must not be empty, nor begin or end with white space: ''"),
        (" tt1", "an id must not be empty, nor begin or end with white space: ' tt1'"),
        ("tt1\n", r"an id must not be empty, nor begin or end with white space: 'tt1\n'"),
        ("\u3000tt1", r"an id must not be empty, nor begin or end with white space: '\u3000tt1'"),
        ("a" * 257, "an id may have at most 256 characters, and this one has 257"),
        ("a" * 1_000_000, "an id may have at most 256 characters, and this one has 1,000,000"),
        ("a\x00b", r"an id must not contain control characters: '\x00' in 'a\x00b'"),
        ("a\x1fb", r"an id must not contain control characters: '\x1f' in 'a\x1fb'"),
        ("a\x7fb", r"an id must not contain control characters: '\x7f' in 'a\x7fb'"),
        ("a\x85b", r"an id must not contain control characters: '\x85' in 'a\x85b'"),
        ("a\ud800b", r"an id must not contain control characters: '\ud800' in 'a\ud800b'"),
        (True, "input should be a valid string (got True)"),
        (1.5, "an id must be text or a whole number, not 1.5: send it as text"),
        (None, "the id is missing"),
        (math.nan, "the id is missing"),
        (
            2.0**60,
            "1.152921504606847e+18 has lost digits of an id, since floats are exact only to 2**53: send whole numbers or text",
        ),
        (["a"], "input should be a valid string (got ['a'])"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_bad_id_is_refused_with_field_and_value(given: object, reason: str) -> None:
    assert refusal(Item, id=given) == f"Item: 'id': {reason}"
    assert refusal(event, user=given) == f"Event: 'user': {reason}"


@pytest.mark.parametrize("given", [10**300, 10**5_000], ids=["301 digits", "5001 digits"])
def test_a_huge_integer_is_no_id(given: int) -> None:
    """Python itself refuses to write integers of more than 4,300 digits."""
    assert refusal(Item, id=given).startswith("Item: 'id': ")


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


SAMPLES: list[Any] = [
    Item(id="a"), Event(user="a", type="view", item="b"), SpaceConfig(), Recommendation(id="a", score=1.0), Receipt(),
    Rejected(position=0, reason="x"), EmbedItems(space="s", ids=["a"]), Reconcile(space="s"),
]  # fmt: skip


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_contracts_are_frozen(sample: Any) -> None:
    for name in type(sample).model_fields:
        with pytest.raises(ValueError, match="frozen"):
            setattr(sample, name, None)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_contracts_refuse_unknown_fields(sample: Any) -> None:
    fields = sample.model_dump()
    assert refusal(type(sample), **fields, surprise=1) == (
        f"{type(sample).__name__}: 'surprise': extra inputs are not permitted (got 1)"
    )


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_parse_takes_an_instance_as_it_is(sample: Any) -> None:
    assert type(sample).parse(sample) is sample


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, "'None'"), (5, "'5'"), ("alice", "'alice'"), ([("id", 1)], repr("[('id', 1)]")), ({1: 2}, "'{1: 2}'"),
        (b"{}", repr("b'{}'")), ("x" * 500, repr("x" * 60)),
    ],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_parse_wants_an_object_with_named_fields(given: object, shown: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Item.parse(given)
    assert str(caught.value) == f"Item: expected an object with named fields, not {shown}"


def test_parse_refuses_another_contract() -> None:
    with pytest.raises(InvalidInput, match=r"^Item: expected an object with named fields"):
        Item.parse(Event(user="a", type="view", item="b"))


def test_a_refusal_names_every_field_and_cuts_long_values() -> None:
    sentence = refusal(Item, title=["x" * 500], payload=7)
    assert sentence == (
        "Item: 'id': field required; "
        f"'title': input should be a valid string (got ['{'x' * 55}...); "
        "'payload': input should be a valid dictionary (got 7)"
    )


@pytest.mark.parametrize("depth", [900, 5_000, 100_000])
def test_a_refusal_can_show_a_value_of_any_depth(depth: int) -> None:
    assert refusal(Item, id="a", surprise=nested(depth)).startswith("Item: 'surprise': extra inputs are not permitted")


def test_a_refusal_is_a_value_error_without_a_pydantic_trace() -> None:
    with pytest.raises(ValueError, match="'id'") as caught:
        Item()  # type: ignore[call-arg]
    assert caught.value.__suppress_context__


def test_an_optional_id_may_be_missing() -> None:
    """Where pandas left a gap, a search has the item NaN."""
    search = event(item=math.nan, text="desert train", session=np.float64("nan"), id=None)
    assert (search.item, search.session, search.id) == (None, None, None)
    assert event(item=318.0).event_id == event(item=318).event_id == event(item="318").event_id
