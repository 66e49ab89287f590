"""Three ways to write a filter, one Qdrant filter; unindexed fields and unreadable forms are refused."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse
from qdrant_client.models import FieldCondition, Filter, MatchAny, MatchText, MatchValue, Range

from llmrec_qdrant import InvalidFilter, SpaceConfig
from llmrec_qdrant.query.filters import parse_filter
from llmrec_qdrant.space.conditions import all_of
from tests.spaces import fresh_name

CONFIG = SpaceConfig(
    fields={
        "year": "integer", "lang": "keyword", "adult": "bool", "price": "float", "plot": "text", "released": "datetime",
        "director.name": "keyword", "cast[].name": "keyword",
    }
)  # fmt: skip

PLOT = "bookkeeping.words_plot"
"""Where the words of a text field lie."""


def empty(key: str) -> models.IsEmptyCondition:
    return models.IsEmptyCondition(is_empty=models.PayloadField(key=key))


def match(key: str, value: Any) -> FieldCondition:
    return FieldCondition(key=key, match=MatchValue(value=value))


def match_any(key: str, *values: Any) -> FieldCondition:
    return FieldCondition(key=key, match=MatchAny(any=list(values)))


def refusal(given: Any) -> str:
    with pytest.raises(InvalidFilter) as caught:
        parse_filter(given, CONFIG)
    return str(caught.value)


# --- the short form ------------------------------------------------------------------------------

NEW_YEAR = datetime(2020, 1, 1, tzinfo=UTC)

SHORT: list[tuple[dict[str, Any], Filter]] = [
    ({"year": 2014}, Filter(must=[match("year", 2014)])),
    ({"year": 0}, Filter(must=[match("year", 0)])),
    ({"lang": "zh"}, Filter(must=[match("lang", "zh")])),
    ({"lang": "中文"}, Filter(must=[match("lang", "中文")])),
    ({"lang": ""}, Filter(must=[match("lang", "")])),
    ({"adult": False}, Filter(must=[match("adult", False)])),
    ({"price": 1.5}, Filter(must=[FieldCondition(key="price", range=Range(gte=1.5, lte=1.5))])),
    ({"lang": ["en", "zh"]}, Filter(must=[match_any("lang", "en", "zh")])),
    ({"lang": ["en"]}, Filter(must=[match("lang", "en")])),
    ({"lang": ("en", "zh")}, Filter(must=[match_any("lang", "en", "zh")])),
    ({"lang": {"en"}}, Filter(must=[match("lang", "en")])),
    ({"lang": frozenset(["en"])}, Filter(must=[match("lang", "en")])),
    ({"year": [2013, 2014]}, Filter(must=[match_any("year", 2013, 2014)])),
    ({"lang": {"any": ["en", "zh"]}}, Filter(must=[match_any("lang", "en", "zh")])),
    ({"lang": {"any": frozenset(["en"])}}, Filter(must=[match("lang", "en")])),
    ({"lang": {"any": "en"}}, Filter(must=[match("lang", "en")])),
    ({"lang": {"not": "zh"}}, Filter(must_not=[match("lang", "zh")])),
    ({"lang": {"not": ["zh", "en"]}}, Filter(must_not=[match_any("lang", "zh", "en")])),
    ({"year": {"gte": 2000}}, Filter(must=[FieldCondition(key="year", range=Range(gte=2000))])),
    (
        {"year": {"gt": 1999, "lt": 2020.5}},
        Filter(must=[FieldCondition(key="year", range=Range(gt=1999, lt=2021))]),
    ),
    (
        {"released": {"gte": "2020-01-01T00:00:00Z"}},
        Filter(must=[FieldCondition(key="released", range=models.DatetimeRange(gte=NEW_YEAR))]),
    ),
    (
        {"released": {"gte": NEW_YEAR}},
        Filter(must=[FieldCondition(key="released", range=models.DatetimeRange(gte=NEW_YEAR))]),
    ),
    (
        {"released": {"lt": "2020-01-01"}},
        Filter(must=[FieldCondition(key="released", range=models.DatetimeRange(lt=NEW_YEAR))]),
    ),
    (
        {"plot": {"text": "Worm hole 电影"}},
        Filter(
            must=[
                FieldCondition(key=PLOT, match=MatchText(text="worm")),
                FieldCondition(key=PLOT, match=MatchText(text="hole")),
                FieldCondition(key=PLOT, match=models.MatchPhrase(phrase="电 影")),
            ]
        ),
    ),
    ({"plot": {"exists": True}}, Filter(must_not=[empty(PLOT)])),
    ({"plot": {"exists": False}}, Filter(must=[empty(PLOT)])),
    ({"director.name": "Nolan"}, Filter(must=[match("director.name", "Nolan")])),
    ({"cast[].name": "Hathaway"}, Filter(must=[match("cast[].name", "Hathaway")])),
    ({"topics": "space"}, Filter(must=[match("topics", "space")])),
    (
        {"year": {"gte": 2000}, "lang": {"not": "zh"}, "adult": False, "plot": {"exists": True}},
        Filter(
            must=[FieldCondition(key="year", range=Range(gte=2000)), match("adult", False)],
            must_not=[match("lang", "zh"), empty(PLOT)],
        ),
    ),
]


@pytest.mark.parametrize(
    ("short", "expected"), SHORT, ids=lambda value: str(value)[:50] if isinstance(value, dict) else ""
)
def test_the_short_form(short: dict[str, Any], expected: Filter) -> None:
    parsed = parse_filter(short, CONFIG)
    assert parsed == expected
    assert parsed is not None
    assert parsed.model_dump_json(exclude_none=True) == expected.model_dump_json(exclude_none=True)


def test_no_filter_is_no_filter() -> None:
    assert parse_filter(None, CONFIG) is None


def test_the_input_is_left_alone() -> None:
    given = {"lang": ["en"], "year": {"gte": 2000}}
    parse_filter(given, CONFIG)
    assert given == {"lang": ["en"], "year": {"gte": 2000}}


# --- Qdrant's own forms --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        Filter(must=[match("year", 2014)]),
        Filter(must=[Filter(should=[match("lang", "en"), empty("price")])]),
        Filter(must=[models.HasIdCondition(has_id=["58956636-b717-5cfc-aff8-8cc8c4d9fe44"])]),
        Filter(must_not=[models.HasVectorCondition(has_vector="dense")]),
        Filter(min_should=models.MinShould(conditions=[match("lang", "en"), match("year", 1)], min_count=1)),
        Filter(),
    ],
    ids=lambda value: str(value.model_dump(exclude_none=True))[:60],
)
def test_a_filter_object_keeps_its_meaning(given: Filter) -> None:
    before = given.model_copy(deep=True)
    assert parse_filter(given, CONFIG) == given
    assert given == before


def test_the_json_form() -> None:
    given = {
        "must": [{"key": "year", "range": {"gte": 2000}}, {"has_id": [7]}],
        "should": [{"key": "lang", "match": {"any": ["en", "zh"]}}, {"is_null": {"key": "price"}}],
        "must_not": [{"key": "lang", "match": {"value": "fr"}}, {"must": [{"key": "adult", "match": {"value": True}}]}],
        "min_should": {"conditions": [{"is_empty": {"key": "price"}}], "min_count": 1},
    }
    assert parse_filter(given, CONFIG) == Filter(
        must=[FieldCondition(key="year", range=Range(gte=2000)), models.HasIdCondition(has_id=[7])],
        should=[match_any("lang", "en", "zh"), models.IsNullCondition(is_null=models.PayloadField(key="price"))],
        must_not=[match("lang", "fr"), Filter(must=[match("adult", True)])],
        min_should=models.MinShould(conditions=[empty("price")], min_count=1),
    )


# --- fields without an index ---------------------------------------------------------------------

UNKNOWN = match("colour", "red")

NESTINGS: list[Filter] = [
    Filter(must=[UNKNOWN]),
    Filter(must=UNKNOWN),
    Filter(should=[match("year", 1), UNKNOWN]),
    Filter(must_not=[UNKNOWN]),
    Filter(min_should=models.MinShould(conditions=[UNKNOWN], min_count=1)),
    Filter(must=[empty("colour")]),
    Filter(must=[models.IsNullCondition(is_null=models.PayloadField(key="colour"))]),
    Filter(must=[Filter(should=[Filter(must_not=[match("year", 1), UNKNOWN])])]),
    Filter(must=[models.NestedCondition(nested=models.Nested(key="colour", filter=Filter(must=[match("name", 1)])))]),
    Filter(must=[FieldCondition(key="colour", range=Range(gte=1))]),
    Filter(must=[FieldCondition(key="colour", values_count=models.ValuesCount(gte=1))]),
    Filter(must=[match("colour.shade", "x")]),
    Filter(must=[match("colour[]", "x")]),
    Filter(must=[match("colour[].shade", "x")]),
]


@pytest.mark.parametrize("given", NESTINGS, ids=lambda value: str(value.model_dump(exclude_none=True))[:70])
def test_a_field_without_index_is_refused_wherever_it_stands(given: Filter) -> None:
    for form in (given, given.model_dump(exclude_none=True)):
        assert refusal(form).startswith("the space has no field 'colour")


def nested(key: str, inner: str) -> Filter:
    return Filter(must=[models.NestedCondition(nested=models.Nested(key=key, filter=Filter(must=[match(inner, "x")])))])


INDEXED: list[Filter] = [
    Filter(must=[match("lang", "x")]),
    Filter(must=[match("director.name", "x")]),
    Filter(must=[match("cast[].name", "x")]),
    nested("cast", "name"),
    nested("cast[]", "name"),
]
UNINDEXED: list[Filter] = [
    Filter(must=[match("lang.x", "x")]),
    Filter(must=[match("lang[]", "x")]),
    Filter(must=[match("lang[0]", "x")]),
    Filter(must=[match("director", "x")]),
    Filter(must=[match("director.nom", "x")]),
    Filter(must=[match("cast", "x")]),
    Filter(must=[match("cast[]", "x")]),
    Filter(must=[match("cast.name", "x")]),
    Filter(must=[match("cast[0].name", "x")]),
    nested("cast", "age"),
    nested("director", "name"),
    nested("lang", "x"),
    nested("lang", "lang"),
    nested("cast", "lang"),
    nested("colour", "cast[].name"),
]


def shown(value: Filter) -> str:
    return str(value.model_dump(exclude_none=True))[10:80]


@pytest.mark.parametrize("given", INDEXED, ids=shown)
def test_an_index_serves_its_own_path(given: Filter) -> None:
    assert parse_filter(given, CONFIG) == given


@pytest.mark.parametrize("given", UNINDEXED, ids=shown)
def test_an_index_serves_no_other_path(given: Filter) -> None:
    assert refusal(given).startswith("the space has no field '")


@pytest.mark.qdrant
def test_qdrant_agrees_about_what_an_index_serves(qdrant_url: str) -> None:
    """The oracle: a collection in strict mode refuses each filter that would scan every point."""
    client, name = QdrantClient(url=qdrant_url, check_compatibility=False), fresh_name()
    strict = models.StrictModeConfig(enabled=True, unindexed_filtering_retrieve=False)
    client.create_collection(name, vectors_config={}, strict_mode_config=strict)
    try:
        for field in ("lang", "director.name", "cast[].name"):
            client.create_payload_index(name, field, field_schema=models.PayloadSchemaType.KEYWORD)
        for given in INDEXED:
            client.scroll(name, scroll_filter=given)
        for given in UNINDEXED:
            with pytest.raises(UnexpectedResponse, match="Index required but not found"):
                client.scroll(name, scroll_filter=given)
    finally:
        client.delete_collection(name)
        client.close()


def test_a_condition_outside_a_list_is_read_as_a_list_of_one() -> None:
    assert parse_filter(Filter(must=match("year", 2014)), CONFIG) == Filter(must=[match("year", 2014)])


def test_the_refusal_of_a_field_says_how_to_index_it() -> None:
    assert refusal({"colour": "red"}) == (
        "the space has no field 'colour' to filter on: declare it with `llmrec init --field colour:keyword` or "
        "rec.create(rec.config.with_fields({'colour': 'keyword'})) (or another kind: integer, float, bool, uuid, datetime, text, "
        "geo); fields to filter on: adult, cast[].name, director.name, item_id, lang, plot, popularity, price, released, terms, "
        "topic_ids, topics, year"
    )
    with pytest.raises(InvalidFilter, match=r"fields to filter on: item_id, popularity, terms, topic_ids, topics$"):
        parse_filter({"colour": "red"}, SpaceConfig())


# --- forms that cannot be read -------------------------------------------------------------------

WORDS = "write a value, a list, or some of gt, gte, lt, lte, any, not, text, exists"

BAD: list[tuple[Any, str]] = [
    ({}, "an empty filter {} has no condition: leave it out"),
    ([1], "a filter must be a Filter or a dict, not [1]"),
    ("year = 2014", "a filter must be a Filter or a dict, not 'year = 2014'"),
    (2014, "a filter must be a Filter or a dict, not 2014"),
    (
        {"year": None},
        "the filter on 'year', of kind integer: None is no value: write {'exists': False} (on the command line: !field) for items "
        "without one",
    ),
    ({"year": []}, "the filter on 'year': an empty list of values matches nothing: leave it out"),
    ({"year": [2014, "x"]}, "the filter on 'year', of kind integer: 'x' is not a number"),
    ({"year": [1.5, 2.5]}, "the filter on 'year', of kind integer: 1.5 is not a whole number of 64 bits"),
    ({"year": [[2014]]}, "the filter on 'year', of kind integer: [2014] is not a number"),
    ({"year": True}, "the filter on 'year', of kind integer: True is not a number"),
    ({"adult": [2]}, "the filter on 'adult', of kind bool: 2 is neither true nor false"),
    ({"lang": b"zh"}, "the filter on 'lang', of kind keyword: b'zh' is not a text"),
    ({"year": {}}, f"the filter on 'year' cannot be read: {{}}; {WORDS}"),
    ({"year": {"min": 1}}, f"the filter on 'year' cannot be read: {{'min': 1}}; {WORDS}"),
    ({"year": {"$gte": 1}}, f"the filter on 'year' cannot be read: {{'$gte': 1}}; {WORDS}"),
    ({"year": {None: 1}}, f"the filter on 'year' cannot be read: {{None: 1}}; {WORDS}"),
    ({"year": {"gte": True}}, "the filter on 'year', of kind integer: True is not a number"),
    (
        {"year": {"gte": None}},
        "the filter on 'year', of kind integer: {'gte': None} is a range without a bound: leave out what does not bound it",
    ),
    (
        {"year": {"gte": 2**53 + 1}},
        "the filter on 'year', of kind integer: 9007199254740993 is a bound beyond ±2^53 (9,007,199,254,740,992), where Qdrant's "
        "ranges are not exact",
    ),
    (
        {"released": {"gte": "yesterday"}},
        "the filter on 'released', of kind datetime: 'yesterday' is not a date or time such as 2024, 2024-05, 2024-05-01 or "
        "2024-05-01T12:00:00Z",
    ),
    # A number compared with a date would let everything through.
    (
        {"released": {"gte": 2000}},
        "the filter on 'released', of kind datetime: 2000 is a number, not a date: write a text such as '2024', '2024-05' or "
        "'2024-05-01T12:00:00Z'",
    ),
    ({"year": {"gte": 1, "lte": "2020-01-01"}}, "the filter on 'year', of kind integer: '2020-01-01' is not a number"),
    # JSON has no NaN and no infinity: they would be sent as null, that is, as no bound at all.
    ({"year": {"gte": math.nan}}, "the filter on 'year', of kind integer: nan is not a number"),
    ({"price": {"lt": math.inf}}, "the filter on 'price', of kind float: inf is not a number"),
    (
        {"lang": {"gte": "a"}},
        "the filter on 'lang', of kind keyword: {'gte': 'a'} is a range: only fields of kind integer, float and datetime have an "
        "order",
    ),
    (
        {"plot": "worm hole"},
        "the filter on 'plot', of kind text: 'worm hole' is compared as a whole: write {'text': …} (on the command line: "
        "field~words) to look for words",
    ),
    (
        {"lang": {"text": "zh"}},
        "the filter on 'lang', of kind keyword: 'zh' is searched for in a full text, which only fields of kind text have: use "
        "equality, or declare a field of kind text",
    ),
    ({"should": []}, "the filter has an empty 'should', which would list everything: leave it out"),
    (Filter(should=[]), "the filter has an empty 'should', which would list everything: leave it out"),
    (
        Filter(min_should=models.MinShould(conditions=[match("year", 1)], min_count=0)),
        "the filter wants 0 of 1 conditions (min_should): write at least 1, and no more than there are",
    ),
    (
        Filter(must=[FieldCondition(key="year", match=MatchValue(value="soon"))]),
        "the filter on 'year', of kind integer: 'soon' is not a number",
    ),
    (
        Filter(must=[FieldCondition(key="released", range=Range(gte=2000))]),
        "the filter on 'released', of kind datetime: 2000.0 is a number, not a date: write a text such as '2024', '2024-05' or "
        "'2024-05-01T12:00:00Z'",
    ),
    (
        Filter(must=[FieldCondition(key="year", geo_radius=models.GeoRadius(center={"lon": 1, "lat": 1}, radius=1))]),
        "the filter on 'year', of kind integer: GeoRadius(center=GeoPoint(lon=1.0, lat=1.0), radius=1.0) is about places, which "
        "only fields of kind geo hold",
    ),
    (
        Filter(must=[FieldCondition(key="year")]),
        "the filter on 'year': a condition needs exactly one of match, range, geo_bounding_box, geo_radius, geo_polygon, "
        "values_count, is_empty, is_null, not []",
    ),
    ({"must": 5}, "not a Qdrant filter: 'must' holds 5, which is not a condition"),
    ({"should": "year"}, "not a Qdrant filter: 'should' holds 'year', which is not a condition"),
    (
        {"must": [{"key": "year", "foo": 1}]},
        "not a Qdrant filter: Extra inputs are not permitted in {'key': 'year', 'foo': 1}",
    ),
    (
        {"min_should": {"conditions": []}},
        "not a Qdrant filter: min_should needs 'conditions' and 'min_count', not {'conditions': []}",
    ),
]


@pytest.mark.parametrize(("given", "sentence"), BAD, ids=lambda value: str(value)[:40])
def test_an_unreadable_filter_is_refused_with_the_mend(given: Any, sentence: str) -> None:
    assert refusal(given) == sentence


@pytest.mark.parametrize(
    "given",
    [
        {5: 1}, {None: "x"}, {("year",): 1}, {b"year": 1},  # a field is named by a text
        {"plot": {"text": {"a": 1}}}, {"plot": {"text": None}},  # not silently "None"
        {"plot": {"exists": "maybe"}}, {"plot": {"exists": None}}, {"plot": {"exists": 2}},
        {"lang": "\ud800"}, {"lang": {"not": ["\ud800"]}}, {"plot": {"text": "\ud800"}},  # cannot be sent
        {"year": 10**30}, {"year": [2**63]}, {"year": {"not": -(2**63) - 1}}, {"year": {"gte": 10**400}},
    ],
    ids=lambda value: ascii(value)[:50],
)  # fmt: skip
def test_what_would_be_misread_or_cannot_be_sent_is_refused(given: Any) -> None:
    refusal(given)


def test_a_refusal_is_short_whatever_was_given() -> None:
    value: Any = 1
    for _ in range(2_000):
        value = {"must": value}
    for wanted in (value, {"year": value}, {"year": ["x"] * 100_000 + [1]}, "x" * 1_000_000):
        assert len(refusal(wanted)) < 2_000


# --- together ------------------------------------------------------------------------------------


def test_all_of() -> None:
    one, two = Filter(must=[match("year", 1)]), Filter(should=[match("lang", "en"), match("lang", "zh")])
    assert all_of() is None
    assert all_of(None, None) is None
    assert all_of(None, one) is one
    assert all_of(one, None, two) == Filter(must=[one, two])


# --- anything at all -----------------------------------------------------------------------------

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3)
    | st.datetimes() | st.dates()
)  # fmt: skip
keys = st.sampled_from(
    ["year", "lang", "colour", "must", "should", "must_not", "min_should", "key", "match", "range", "value", "any",
     "not", "gt", "gte", "lt", "lte", "text", "exists", "has_id", "is_empty", "nested", "filter", "conditions",
     "min_count", ""]
) | st.text(max_size=3)  # fmt: skip
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(keys | st.integers() | st.none(), inner, max_size=3)
        | st.frozensets(st.text(max_size=2) | st.integers(), max_size=2)
        | st.tuples(inner)
    ),
    max_leaves=12,
)


@given(anything | st.dictionaries(keys, anything, max_size=3))
def test_any_input_becomes_a_filter_or_an_invalid_filter(given: Any) -> None:
    try:
        parsed = parse_filter(given, CONFIG)
    except InvalidFilter as refused:
        assert str(refused)
    else:
        assert given is None or isinstance(parsed, Filter)


@given(st.dictionaries(st.sampled_from(sorted(CONFIG.fields)), anything, min_size=1, max_size=3))
def test_whatever_is_accepted_can_be_sent(given: dict[str, Any]) -> None:
    try:
        parsed = parse_filter(given, CONFIG)
    except InvalidFilter:
        return
    assert parsed is not None
    assert Filter.model_validate_json(parsed.model_dump_json(exclude_none=True)) == parsed
