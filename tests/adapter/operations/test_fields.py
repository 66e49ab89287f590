"""Fields that are declared, or declared anew, over stored items: indexed by their kind, and what does not fit is said."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from llmrec_qdrant import FieldWarning, Recommender, SpaceConfig
from llmrec_qdrant.contracts.config import FieldKind
from llmrec_qdrant.query.filters import parse_filter
from tests.spaces import EITHER, drop, fresh_name

PLAIN = SpaceConfig(model="hash", size=8)
PAYLOADS: list[dict[str, Any]] = [
    {"year": 2014, "plot": "A wormhole", "odd key": "x", "cast": [{"bio": "born in 北京"}]},
    {"year": 2015.5, "plot": ["科幻电影", "space"]},
    {"year": "2016", "plot": None},
    {"year": [2017, "soon"]},
    {},
]


@pytest.fixture(params=EITHER)
def space(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    where = {"path": ":memory:"} if request.param == "local" else {"url": request.getfixturevalue("qdrant_url")}
    rec = Recommender.connect(**where, space=fresh_name())
    rec.create(PLAIN)
    rec.upsert_items({"id": str(n), "title": f"title {n}", "payload": payload} for n, payload in enumerate(PAYLOADS))
    yield rec
    drop(rec)


def declared(rec: Recommender, fields: dict[str, FieldKind]) -> list[str]:
    """Declare fields, and return what was said about it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rec.create(rec.config.with_fields(fields))
    assert {warning.category for warning in caught} <= {FieldWarning}
    return [str(warning.message) for warning in caught]


def listed(rec: Recommender, filter: Any) -> set[int]:
    parsed = parse_filter(filter, rec.config)
    records, _ = rec.client.scroll(rec._space.items, scroll_filter=parsed, limit=100)
    return {int(record.payload["item_id"]) for record in records}  # type: ignore[index]


def kinds(rec: Recommender) -> dict[str, str]:
    schema = rec.client.get_collection(rec._space.items).payload_schema
    return {key: str(getattr(getattr(kind, "data_type", kind), "value", kind)) for key, kind in schema.items()}


def test_a_field_declared_with_another_kind_is_indexed_anew_and_says_what_does_not_fit(space: Recommender) -> None:
    (said,) = declared(space, {"year": "integer"})
    assert said.startswith(
        "the field 'year' has kind integer now, and 3 of 5 items hold values that do not fit, such as "
    )
    assert said.endswith(": filters on 'year' do not find them until they are stored with values that fit")
    assert listed(space, {"year": {"gte": 2000}}) == {0, 3}
    (said,) = declared(space, {"year": "keyword"})
    assert "has kind keyword now, and 3 of 5 items" in said
    assert kinds(space)["year"] == "keyword"
    assert listed(space, {"year": 2016}) == {2}
    (said,) = declared(space, {"year": "float"})
    assert "has kind float now, and 2 of 5 items" in said
    assert listed(space, {"year": {"gt": 2014}}) == {1, 3}
    assert declared(space, {"year": "float"}) == []


def test_words_of_items_stored_before_are_found(space: Recommender) -> None:
    assert declared(space, {"plot": "text", "cast[].bio": "text", "title": "text", "odd key": "text"}) == []
    assert listed(space, {"plot": {"text": "wormhole"}}) == {0}
    assert listed(space, {"plot": {"text": "电影 space"}}) == {1}
    assert listed(space, {"cast[].bio": {"text": "北京"}}) == {0}
    assert listed(space, {"title": {"text": "title 2"}}) == {2}
    assert listed(space, {"odd key": {"text": "X"}}) == {0}
    assert listed(space, {"plot": {"exists": False}}) == {2, 3, 4}


def test_words_of_a_text_that_changed_meanwhile_are_not_found(space: Recommender) -> None:
    declared(space, {"plot": "text"})
    declared(space, {"plot": "keyword"})
    assert not [key for key in kinds(space) if "words" in key]
    assert listed(space, {"plot": "space"}) == {1}
    space.upsert_items([{"id": "0", "payload": {"plot": "A black hole"}}])
    declared(space, {"plot": "text"})
    assert listed(space, {"plot": {"text": "wormhole"}}) == set()
    assert listed(space, {"plot": {"text": "black"}}) == {0}


def test_items_are_read_once_however_qdrant_spells_the_field(
    space: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields: dict[str, FieldKind] = {
        "ชื่อ": "keyword",
        "语言": "keyword",
        "odd key": "keyword",
        '"a.b"[].c': "integer",
        "plot": "text",
    }
    declared(space, fields)
    asked: list[Any] = []
    scroll = space.client.scroll
    monkeypatch.setattr(
        space.client,
        "scroll",
        lambda *args, **kwargs: (asked.append(kwargs.get("with_payload")), scroll(*args, **kwargs))[1],
    )
    declared(space, fields)
    assert asked == []
    declared(space, {"year": "float"})
    assert asked.count(["item_id", '"year"']) == 1
