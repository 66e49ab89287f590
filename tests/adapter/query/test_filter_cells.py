"""Every kind of field × operator × spelling equals brute force over the payloads, on both back ends."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import models

from llmrec_qdrant import InvalidFilter, Recommender
from llmrec_qdrant.query.filters import parse_filter
from tests.filter_cells import (
    CONFIG,
    ITEMS,
    NO_ANSWER,
    OPERATORS,
    PATHS,
    REFUSED,
    SPELLINGS,
    Cell,
    answer,
    cell,
    cells,
    filled,
    listed,
    values_at,
)
from tests.services import ROOT
from tests.spaces import EITHER, drop


@pytest.fixture(scope="module", params=EITHER)
def space(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    where = {"path": ":memory:"} if request.param == "local" else {"url": request.getfixturevalue("qdrant_url")}
    rec = filled(**where)
    yield rec
    drop(rec)


def test_every_cell_equals_brute_force_or_is_refused(space: Recommender) -> None:
    asked = list(cells())[::4]  # every operator and spelling, the paths in turn; the module's command asks for all
    wrong = [found for one in asked if (found := answer(space, one)).startswith("WRONG")]
    assert not wrong, wrong[:3]
    answered = [one for one in asked if one.expected is not None]
    assert len(answered) > 400
    useful = [one for one in answered if 0 < len(one.expected or ()) < len(ITEMS)]
    assert len(useful) > 0.9 * len(answered)  # few cells list nothing or everything


@pytest.mark.parametrize("kind", REFUSED)
def test_what_a_kind_cannot_read_is_refused_naming_field_value_and_mend(kind: str) -> None:
    for value in REFUSED[kind]:
        for wanted in (value, [value], {"not": value}, {"any": [value]}):
            with pytest.raises(InvalidFilter, match=f"'my_{kind}', of kind {kind}: "):
                parse_filter({f"my_{kind}": wanted}, CONFIG)
        if value not in (7.5, "7.5"):  # a bound may lie between whole numbers
            with pytest.raises(InvalidFilter, match=f"'my_{kind}', of kind {kind}: "):
                parse_filter({f"my_{kind}": {"gte": value}}, CONFIG)


@st.composite
def single(draw: st.DrawFn) -> Cell:
    kind = draw(st.sampled_from(sorted(SPELLINGS)))
    operators = [name for name in OPERATORS if name not in NO_ANSWER.get(kind, ())]
    operator = draw(st.sampled_from(operators))
    spelled = draw(st.lists(st.sampled_from(SPELLINGS[kind]), min_size=2, max_size=2))
    return cell(kind, draw(st.sampled_from(PATHS)), operator, spelled[: OPERATORS[operator].takes])


Asked = tuple[Any, frozenset[int]]
"""A filter and the items that it should list."""
ALL = frozenset(range(len(ITEMS)))


def combined(parts: Sequence[Asked], word: str) -> Asked:
    filters, expected = [part[0] for part in parts], [part[1] for part in parts]
    match word:
        case "must":
            return {"must": filters}, frozenset.intersection(*expected)
        case "should":
            return {"should": filters}, frozenset.union(*expected)
        case "must_not":
            return {"must_not": filters}, ALL - frozenset.union(*expected)
    twice = frozenset(n for n in ALL if sum(n in one for one in expected) >= 2)
    return {"min_should": {"conditions": filters * 2, "min_count": 3}}, twice if len(parts) > 1 else frozenset()


leaves = single().map(lambda one: (one.filter, one.expected or frozenset()))
trees = st.recursive(
    leaves,
    lambda inner: st.builds(
        combined, st.lists(inner, min_size=1, max_size=3), st.sampled_from(["must", "should", "must_not"])
    ),
    max_leaves=6,
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees)
def test_combinations_equal_brute_force(space: Recommender, asked: Asked) -> None:
    filter, expected = asked
    assert listed(space, filter) == expected
    parsed = parse_filter(filter, CONFIG)
    assert parsed is not None
    if "words_" not in str(parsed):
        assert parse_filter(parsed, CONFIG) == parsed  # a filter of the adapter passes as a verbatim one
        document = parsed.model_dump(mode="json", exclude_none=True, by_alias=True)
        assert listed(space, document) == expected  # and as JSON


def test_qdrants_own_conditions_equal_brute_force(space: Recommender) -> None:
    def at(kind: str) -> list[list[Any]]:
        return [values_at(payload, kind, PATHS[0]) for payload in ITEMS]

    field = models.FieldCondition
    conditions: list[tuple[Any, list[bool]]] = [
        (field(key="my_integer", match=models.MatchValue(value=2014)), [2014 in v for v in at("integer")]),
        (field(key='"my_integer"', range=models.Range(gt=2012.5, lt=2014)), [2013 in v for v in at("integer")]),
        (field(key="my_float", range=models.Range(lte=0.1)), [any(x <= 0.1 for x in v) for v in at("float")]),
        (field(key="my_float", match=models.MatchValue(value=7)), [7 in v for v in at("float")]),
        (field(key="my_bool", match=models.MatchValue(value=1)), [True in v for v in at("bool")]),
        (field(key="my_keyword", match=models.MatchAny(any=["zh", "en"])), [bool({"zh", "en"} & {*v}) for v in at("keyword")]),
        (field(key="my_keyword", match=models.MatchExcept(**{"except": ["zh", "en"]})), [bool({*v} - {"zh", "en"}) for v in at("keyword")]),
        (field(key="my_integer", match=models.MatchExcept(**{"except": [0, 1]})), [bool({*v} - {0, 1}) for v in at("integer")]),
        (
            field(key="my_geo", geo_radius=models.GeoRadius(center=models.GeoPoint(lon=13.4, lat=52.5), radius=1000)),
            [any(x["lon"] == 13.4 for x in v) for v in at("geo")],
        ),
        (
            field(key="my_keyword", values_count=models.ValuesCount(gte=2)),
            [isinstance(p.get("my_keyword"), list) and len(p["my_keyword"]) >= 2 for p in ITEMS],
        ),
        (
            models.NestedCondition(nested=models.Nested(key="objects", filter=models.Filter(must=[
                field(key="my_integer", match=models.MatchValue(value=2014)),
                field(key="my_keyword", match=models.MatchValue(value="zh")),
            ]))),
            [any(o.get("my_integer") == 2014 and o.get("my_keyword") == "zh" for o in p["objects"]) for p in ITEMS],
        ),
    ]  # fmt: skip
    for condition, holds in conditions:
        assert listed(space, models.Filter(must=[condition])) == {n for n, yes in enumerate(holds) if yes}, condition
        assert listed(space, {"must_not": [condition]}) == {n for n, yes in enumerate(holds) if not yes}, condition


COLUMNS = (("value",), ("list", "any"), ("not", "not, list"), ("gt", "gte", "lt", "lte", "gt and lte"))


@pytest.mark.parametrize("kind", SPELLINGS)
def test_the_table_in_the_documents_is_the_one_tested(kind: str) -> None:
    refused = NO_ANSWER.get(kind, ())
    assert all(len({name in refused for name in names}) == 1 for names in COLUMNS)
    cells_of_kind = ["refused" if names[0] in refused else "yes" for names in COLUMNS]
    row = [f"`{kind}`", *cells_of_kind, "yes" if kind == "text" else "refused", "yes"]
    assert f"| {' | '.join(row)} |\n" in (ROOT / "docs" / "filters.md").read_text(encoding="utf-8")
    if kind != "text":
        with pytest.raises(InvalidFilter, match="only fields of kind text"):
            parse_filter({f"my_{kind}": {"text": "x"}}, CONFIG)


@pytest.mark.qdrant
def test_the_body_of_a_request_filters_natively_as_the_list_does(qdrant_url: str) -> None:
    rec = filled(url=qdrant_url)
    filters: list[Any] = [
        {"my_float": [9.99, 2.5]}, {"my_datetime": {"gte": "2024-05"}}, {"my_bool": "no"}, {"my_text": {"text": "映画"}},
        {"should": [{"my_integer": "2014"}, {"objects[].my_keyword": {"not": "zh"}}]},
    ]  # fmt: skip
    try:
        for filter in filters:
            body = json.dumps(rec.request("nobody", 100, filter=filter)).encode()
            url, headers = (
                f"{qdrant_url}/collections/{rec.space}_items/points/query",
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answered:
                points = json.load(answered)["result"]["points"]
            native = {int(point["payload"]["item_id"]) for point in points}
            assert (
                native == {int(item.id) for item in rec.recommend("nobody", 100, filter=filter)} == listed(rec, filter)
            )
            assert native
    finally:
        drop(rec)
