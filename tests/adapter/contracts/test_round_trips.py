"""Whatever a contract accepts comes back from JSON; anything else is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmrec_qdrant import Event, InvalidInput, Item, SpaceConfig
from llmrec_qdrant.contracts.config import LEGS
from llmrec_qdrant.contracts.entities import RESERVED
from llmrec_qdrant.contracts.messages import (
    EmbedItems,
    EmbedTexts,
    Message,
    RefreshUsers,
)

MOMENT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)  # Unix second 1,700,000,000
characters = st.characters(exclude_categories=["Cs"])
ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=256).filter(lambda s: s == s.strip())
texts = st.text(characters, max_size=300)
numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | numbers | st.text(characters, max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(characters, max_size=8), inner, max_size=3),
    max_leaves=8,
)
payloads = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"'), min_size=1, max_size=10).filter(
        lambda key: key not in RESERVED and key.strip()
    ),
    json_values,
    max_size=4,
)
moments = st.datetimes(datetime(1971, 1, 1), datetime(2024, 1, 1), timezones=st.just(UTC))
items = st.builds(
    Item, id=ids | st.integers(-(2**63), 2**63), title=texts, text=texts, payload=payloads, tenant=st.none() | ids
)
events = st.builds(
    Event,
    user=ids,
    type=st.from_regex(r"[a-z][a-z0-9_-]{0,39}", fullmatch=True).filter(lambda word: word != "rating"),
    item=ids,
    text=texts,
    value=st.none() | numbers,
    ts=moments | st.integers(700_000_000, 1_700_000_000) | st.floats(700_000_000, 1_700_000_000),
    session=st.none() | ids,
    id=st.none() | ids,
)
configs = st.builds(
    SpaceConfig,
    revision=st.none() | st.text("0123456789abcdef", min_size=7, max_size=40),
    pooling=st.sampled_from(["mean", "cls"]),
    size=st.integers(1, 8192),
    max_tokens=st.integers(8, 8192),
    similarity=st.sampled_from(["cosine", "pearson"]),
    fields=st.dictionaries(st.sampled_from(["year", "lang", "a.b"]), st.sampled_from(["keyword", "integer", "geo"])),
    half_life_days=st.floats(0.01, 10_000),
    position_decay=st.floats(0.01, 1),
    collab_decay=st.floats(0.01, 1),
    collab_distance=st.floats(0, 4),
    event_weights=st.dictionaries(st.sampled_from(["view", "own"]), numbers),
    rating_scale=st.tuples(st.floats(-10, 0), st.floats(1, 10)),
    weights=st.dictionaries(st.sampled_from(LEGS), st.floats(0.01, 100), min_size=1),
    prefetch=st.integers(1, 10_000),
)


@given(items)
def test_an_item_comes_back_from_json(item: Item) -> None:
    assert Item.parse(json.loads(item.model_dump_json())) == item


@given(events)
def test_an_event_comes_back_from_json_with_the_same_id(event: Event) -> None:
    back = Event.parse(json.loads(event.model_dump_json()))
    assert back == event
    assert back.event_id == event.event_id


@given(configs)
def test_a_configuration_comes_back_from_json(config: SpaceConfig) -> None:
    assert SpaceConfig.parse(json.loads(config.model_dump_json())) == config
    assert SpaceConfig.parse(config.model_dump(mode="json")) == config


@given(st.sampled_from([EmbedItems, EmbedTexts, RefreshUsers]), st.lists(st.uuids().map(str), min_size=1, max_size=50))
def test_a_message_comes_back_from_json(model: type[Message], point_ids: list[str]) -> None:
    message = model.parse({"space": "movies", "ids": point_ids})
    assert model.parse(json.loads(message.model_dump_json())) == message


@given(st.dictionaries(st.sampled_from([*Item.model_fields, "other"]), json_values | st.binary() | st.floats()))
def test_an_item_is_read_or_refused_and_nothing_else(data: dict[str, Any]) -> None:
    try:
        Item.parse(data)
    except InvalidInput as refused:
        assert str(refused).startswith("Item: '")


@given(st.dictionaries(st.sampled_from([*Event.model_fields, "other"]), json_values | st.floats() | ids))
def test_an_event_is_read_or_refused_and_nothing_else(data: dict[str, Any]) -> None:
    try:
        Event.parse({"user": "a", "type": "view", "item": "b", **data})
    except InvalidInput as refused:
        assert str(refused).startswith("Event: ")
