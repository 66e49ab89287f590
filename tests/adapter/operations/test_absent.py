"""A filter on a field that no item has says so, and asks no more than once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from llmrec_qdrant import FieldWarning, InvalidFilter, Recommender
from tests.films import CONFIG, items
from tests.spaces import EITHER, drop, fresh_name


@pytest.fixture(params=EITHER)
def space(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    where = {"path": ":memory:"} if request.param == "local" else {"url": request.getfixturevalue("qdrant_url")}
    rec = Recommender.connect(**where, space=fresh_name())
    rec.create(CONFIG.with_fields({"genre": "keyword", "plot": "text"}))
    rec.upsert_items(items())
    yield rec
    drop(rec)


def said(rec: Recommender, filter: Any, *, empty: bool) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert (rec.recommend("nobody", filter=filter) == []) == empty
    assert {warning.category for warning in caught} <= {FieldWarning}
    return [str(warning.message) for warning in caught]


def test_a_field_that_no_item_has_is_named(space: Recommender) -> None:
    sentence = (
        f"no item of space {space.space!r} has a value in 'genre', which the filter uses: load items with this field, or correct "
        "its name"
    )
    assert said(space, {"genre": "drama"}, empty=True) == [sentence]
    assert said(space, {"genre": {"not": "drama"}}, empty=False) == [sentence]
    assert said(space, {"genre": {"exists": False}}, empty=False) == [sentence]
    assert "in 'plot', which" in said(space, {"plot": {"text": "drama"}}, empty=True)[0]
    assert "`llmrec topics fit`" in said(space, {"topics": "drama"}, empty=True)[0]
    assert said(space, {"year": 1900}, empty=True) == []
    assert said(space, {"year": {"not": 2014}}, empty=False) == []
    space.update_items([{"id": "m1", "payload": {"genre": "drama"}}])
    assert said(space, {"genre": {"not": "drama"}}, empty=False) == []


def test_a_value_that_no_item_has_is_named(space: Recommender) -> None:
    (sentence,) = said(space, {"lang": ["EN", "xx"]}, empty=True)[:1]
    assert (
        sentence
        == "no item has 'EN' in 'lang', which is compared exactly: did you mean 'en'? frequent values are 'en', 'zh'"
    )
    assert len(said(space, {"lang": ["EN", "xx"]}, empty=True)) == 2
    assert said(space, {"lang": ["EN", "zh"]}, empty=False) == []
    assert said(space, {"lang": "zh", "year": 1900}, empty=True) == []
    with pytest.warns(FieldWarning, match="do not fit"):
        space.create(space.config.with_fields({"year": "keyword"}))
    assert said(space, {"year": "2014"}, empty=True) == [
        "no item has '2014' in 'year', which is compared exactly: no item has a text there"
    ]


def test_a_list_with_items_costs_no_request_more(space: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    said(space, {"year": {"not": 2014}}, empty=False)
    asked: list[str] = []
    scroll = space.client.scroll
    monkeypatch.setattr(
        space.client, "scroll", lambda *args, **kwargs: (asked.append("scroll"), scroll(*args, **kwargs))[1]
    )
    for filter in ({"year": 2014}, {"year": {"not": 2014}, "lang": "en"}, {"year": 1900}):
        space.recommend("nobody", filter=filter)
    assert asked == []
    with pytest.warns(FieldWarning):
        space.recommend("nobody", filter={"genre": "drama"})
    assert asked == ["scroll"]


def test_the_advice_for_a_field_that_is_not_declared_fits_what_items_hold(space: Recommender) -> None:
    space.update_items(
        {
            "id": f"m{n}",
            "payload": {
                "price": price,
                "seen": f"{price}",
                "made": {"by date": "2024-05-01"},
                "tags": ["a", "b"],
                "cast": [{"name": "x"}],
            },
        }
        for n, price in ((1, 7), (2, 9.99), (3, 12))
    )
    asked: dict[str, Any] = {
        "price:float": {"price": {"lt": 10}}, "seen:keyword": {"seen": 7}, "'made.\"by date\":datetime'": {"made.by date": "2024"},
        "'tags[]:keyword'": {"tags[]": {"exists": True}}, "plots:text": {"plots": {"text": "a heist"}}, "years:integer": {"years": 2014},
            "'cast[].name:keyword'": {"cast.name": "x"}, "'made.\"by date\":datetime' ": {"made": "2024"},
    }  # fmt: skip
    for declared, filter in asked.items():
        for list_items in (space.recommend, space.request, space.search, space.similar_items):
            with pytest.raises(InvalidFilter) as refused:
                list_items("m1", filter=filter)
            assert f"`llmrec init --field {declared.strip()}`" in str(refused.value)
            assert ("none of 8 items looked at has it" in str(refused.value)) == (
                not filter.keys().isdisjoint({"plots", "years"})
            )
            assert ("did you mean" in str(refused.value)) == (not filter.keys().isdisjoint({"plots", "years"}))
        with pytest.raises(InvalidFilter, match="declare it with"):
            list(space.iter_items(filter=filter))
