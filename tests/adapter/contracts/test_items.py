"""Items: texts and payloads, and what is refused."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from llmrec_qdrant import InvalidInput, Item
from llmrec_qdrant.contracts.entities import RESERVED

MOMENT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)  # Unix second 1,700,000,000


def refusal(model: Any, /, **fields: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        model(**fields)
    assert type(caught.value) is InvalidInput
    return str(caught.value)


def test_a_text_may_have_a_million_characters() -> None:
    assert len(Item(id="a", text="星" * 1_000_000).text) == 1_000_000
    assert refusal(Item, id="a", title="x" * 1_000_001) == (
        "Item: 'title': a text may have at most 1,000,000 characters, and this one has 1,000,001: send its beginning or a summary"
    )


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a\ud800b", "a?b"), ("\udc80", "?"), (None, ""), ("🎬", "🎬"), ("\x00\x1b[31m", "\x00\x1b[31m"),
        ("  two\r\nlines ", "  two\r\nlines "),
    ],
)  # fmt: skip
def test_a_text_is_kept_but_for_half_a_surrogate_pair(given: object, kept: str) -> None:
    assert Item(id="a", title=given, text=given).model_dump(include={"title", "text"}) == {"title": kept, "text": kept}


@pytest.mark.parametrize(
    ("title", "text", "source"),
    [("", "", ""), ("A", "", "A"), ("", "b", "b"), (" A ", "\nb\n", "A\nb"), ("  ", "b", "b"), ("A", "A", "A\nA")],
)
def test_title_and_text_are_encoded_together(title: str, text: str, source: str) -> None:
    assert Item(id="a", title=title, text=text).source == source


@pytest.mark.parametrize("name", [*sorted(RESERVED), "bookkeeping.stale", "bookkeeping[0]"])
def test_names_of_the_product_are_refused_in_a_payload(name: str) -> None:
    assert refusal(Item, id="a", payload={name: 1}) == (
        f"Item: 'payload': the field names ['{name}'] are reserved: rename these fields"
    )


def test_names_of_the_product_are_free_further_down() -> None:
    assert Item(id="a", payload={"mine": {"item_id": 1}, "user_id": 2}).payload == {
        "mine": {"item_id": 1},
        "user_id": 2,
    }
    freed = {"stale": True, "legs": ["left"], "model": "T", "lease": 12, "attempts": 3, "bookkeepings": 1}
    assert Item(id="a", payload=freed).payload == freed


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf], ids=str)
def test_a_payload_number_is_finite_wherever_it_stands(number: float) -> None:
    for payload in ({"a": number}, {"a": [1, {"b": number}]}, {"a": {"b": {"c": [number]}}}):
        assert refusal(Item, id="a", payload=payload) == (
            "Item: 'payload': numbers must be finite: JSON has neither NaN nor infinity"
        )


@pytest.mark.parametrize("payload", [{"a": "\ud800"}, {"\ud800": 1}, {"a": [{"b": "x\udfff"}]}])
def test_a_payload_holds_no_half_surrogate_pair(payload: dict[str, Any]) -> None:
    assert refusal(Item, id="a", payload=payload) == (
        "Item: 'payload': a text contains half a surrogate pair, which UTF-8 cannot encode"
    )


def test_a_payload_has_64000_bytes_of_json() -> None:
    frame = len('{"a": ""}')
    assert Item(id="a", payload={"a": "x" * (64_000 - frame)}).payload["a"] == "x" * (64_000 - frame)
    assert refusal(Item, id="a", payload={"a": "x" * (64_001 - frame)}) == (
        "Item: 'payload': a payload may have at most 64,000 bytes as JSON, and this one has 64,001"
    )
    assert "this one has 64,002" in refusal(Item, id="a", payload={"a": "x" * (64_000 - frame - 1) + "星"})


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [130, 250, 300, 2_000])
def test_a_payload_too_deep_for_qdrant_is_refused_at_the_door(depth: int) -> None:
    """Qdrant reads 127 levels of JSON; one deeper item would have its whole batch refused."""
    assert len(refusal(Item, id="a", payload={"a": nested(depth)})) < 1_000


def test_a_payload_of_some_depth_is_accepted() -> None:
    assert Item(id="a", payload={"a": nested(50)}).payload == {"a": nested(50)}


@pytest.mark.parametrize("number", [10**400, 10**5_000], ids=["401 digits", "5001 digits"])
def test_an_integer_too_large_for_qdrant_is_refused_at_the_door(number: int) -> None:
    assert refusal(Item, id="a", payload={"a": number}).startswith("Item: 'payload': ")


@pytest.mark.parametrize(
    "payload",
    [None, [], "year", {1: 2}, {"a": object()}, {"a": MOMENT}, {"a": b"x"}],
    ids=lambda value: str(value).split(" at 0x")[0],
)
def test_a_payload_is_a_json_object(payload: object) -> None:
    assert refusal(Item, id="a", payload=payload).startswith("Item: 'payload")


def test_a_payload_that_holds_itself_is_refused() -> None:
    cycle: dict[str, Any] = {}
    cycle["a"] = cycle
    assert refusal(Item, id="a", payload=cycle).startswith("Item: 'payload")
