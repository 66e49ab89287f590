"""Which fields a filter reaches: the declared ones and a few of the product, however a path is spelled."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from qdrant_client import models

from llmrec_qdrant import InvalidFilter, InvalidInput, SpaceConfig
from llmrec_qdrant.contracts.paths import canonical_path, steps
from llmrec_qdrant.query.filters import parse_filter
from llmrec_qdrant.query.keys import used_keys
from llmrec_qdrant.space.schema import FILTERABLE, indexes
from tests.services import ROOT

CONFIG = SpaceConfig(fields={"year": "integer", "a.b": "keyword", "cast[].name": "keyword", '"odd.key"': "keyword"})

INTERNAL = ("tenant", "bookkeeping.stale", "bookkeeping.src_hash", "bookkeeping.seen", "text")


@pytest.mark.parametrize(
    ("spelled", "canonical"),
    [
        ('"year"', "year"), ('"a"."b"', "a.b"), ('a."b"', "a.b"), ('cast[]."name"', "cast[].name"), ('"odd.key"', '"odd.key"'),
        ('"cast"[].name', "cast[].name"),
    ],
)  # fmt: skip
def test_a_path_has_one_spelling(spelled: str, canonical: str) -> None:
    assert canonical_path(spelled) == canonical
    value: Any = 1 if canonical == "year" else "x"
    parsed = parse_filter({spelled: value}, CONFIG)
    assert parsed is not None and used_keys(parsed).all == {canonical}
    condition = models.FieldCondition(key=spelled, match=models.MatchValue(value=value))
    assert parse_filter(models.Filter(must=[condition]), CONFIG) == parsed


pieces = st.sampled_from(
    [
        *INTERNAL,
        "bookkeeping",
        "stale",
        "words_plot",
        '"',
        "[",
        "]",
        "[]",
        "[0]",
        ".",
        " ",
        '"tenant"',
        '"bookkeeping"',
        "year",
    ]
)
hostile = st.lists(pieces, min_size=1, max_size=6).map("".join)


def _conditions(path: str, inner: str) -> list[models.Filter]:
    match = models.FieldCondition(key=inner, match=models.MatchValue(value="x"))
    parts: list[Any] = [
        models.FieldCondition(key=path, match=models.MatchValue(value="x")),
        models.IsEmptyCondition(is_empty=models.PayloadField(key=path)),
        models.IsNullCondition(is_null=models.PayloadField(key=path)),
        models.FieldCondition(key=path, values_count=models.ValuesCount(gte=1)),
        models.NestedCondition(nested=models.Nested(key=path, filter=models.Filter(must=[match]))),
    ]
    return [models.Filter(must=parts[:1]), *(models.Filter(must_not=[models.Filter(should=[part])]) for part in parts)]


@given(hostile, hostile)
@example('"tenant"', "x")
@example("bookkeeping[]", "stale")
@example('"bookkeeping"."stale"', "x")
def test_no_path_reaches_an_internal_key(path: str, inner: str) -> None:
    allowed = {*FILTERABLE, *CONFIG.fields}
    filters: list[Any] = [
        {path: "x"},
        {path: {"exists": False}},
        {"must_not": [{path: ["x"]}]},
        *_conditions(path, inner),
    ]
    for filter in filters:
        try:
            parsed = parse_filter(filter, CONFIG)
        except InvalidFilter:
            continue
        assert parsed is not None and used_keys(parsed).all <= allowed


@given(hostile)
def test_no_internal_key_can_be_declared(path: str) -> None:
    try:
        config = SpaceConfig(fields={path: "keyword"})
    except InvalidInput:
        return
    (declared,) = config.fields
    assert steps(declared)[0] not in {*INTERNAL[:1], "bookkeeping", "text", "topics", "item_id", "popularity", "terms"}


@pytest.mark.parametrize("key", INTERNAL)
def test_an_internal_key_is_refused_without_the_advice_to_declare_it(key: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse_filter({key: "x"}, SpaceConfig())
    assert f"no field {key!r} to filter on" in str(caught.value)


def test_what_can_be_filtered_is_indexed_and_documented() -> None:
    assert indexes("items", CONFIG).keys() >= {*FILTERABLE, *CONFIG.fields}
    documented = (ROOT / "docs" / "filters.md").read_text(encoding="utf-8")
    assert all(f"| `{key}` |" in documented for key in FILTERABLE)


@pytest.mark.parametrize(
    ("path", "meant"), [("YEAR", "year"), ("yaer", "year"), ("Topics", "topics"), ("id", "item_id"), ("ID", "item_id")]
)
def test_a_name_that_resembles_a_field_is_answered_with_the_field(path: str, meant: str) -> None:
    with pytest.raises(InvalidFilter, match=rf"no field '{path}' to filter on \(did you mean '{meant}'\?\)"):
        parse_filter({path: 1999}, CONFIG)
