"""Words of any language are found in text fields, alike on both back ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from qdrant_client import models

from llmrec_qdrant import InvalidFilter, Recommender, SpaceConfig
from llmrec_qdrant.query.filters import parse_filter
from tests.spaces import EITHER, drop, fresh_name
from tests.text_cells import FOUND, TEXTS

CONFIG = SpaceConfig(model="hash", size=8, fields={"plot": "text", "title": "text", "cast[].bio": "text"})


@pytest.fixture(scope="module", params=EITHER)
def space(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    where = {"path": ":memory:"} if request.param == "local" else {"url": request.getfixturevalue("qdrant_url")}
    rec = Recommender.connect(**where, space=fresh_name())
    rec.create(CONFIG)
    rec.upsert_items(
        {"id": str(n), "title": text, "payload": {"plot": text, "cast": [{"bio": "x"}, {"bio": text}]}}
        for n, text in enumerate(TEXTS)
    )
    yield rec
    drop(rec)


def listed(rec: Recommender, filter: Any) -> set[int]:
    records, _ = rec.client.scroll(rec._space.items, scroll_filter=parse_filter(filter, CONFIG), limit=100)
    return {int(record.payload["item_id"]) for record in records}  # type: ignore[index]


@pytest.mark.parametrize("path", ["plot", "title", "cast[].bio"])
def test_words_of_six_languages(space: Recommender, path: str) -> None:
    assert {text: listed(space, {path: {"text": text}}) for text in FOUND} == FOUND
    everything = set(range(len(TEXTS)))
    assert listed(space, {path: {"not": {"text": "电影"}}}) == everything - {1}


def test_phrases_and_alternatives_of_qdrants_own_filters(space: Recommender) -> None:
    def where(match: Any) -> models.Filter:
        return models.Filter(must=[models.FieldCondition(key="plot", match=match)])

    assert listed(space, where(models.MatchPhrase(phrase="travel through"))) == {0}
    assert listed(space, where(models.MatchPhrase(phrase="through travel"))) == set()
    assert listed(space, where(models.MatchTextAny(text_any="wormhole 电影 nothing"))) == {0, 1}
    assert listed(space, where(models.MatchText(text="Wormhole Travel"))) == {0}


@pytest.mark.parametrize("text", ["", " ", "…", "!?", "\ud800", None, True, ["a"]], ids=ascii)
def test_what_has_no_word_is_refused(text: Any) -> None:
    with pytest.raises(InvalidFilter, match="'plot', of kind text: "):
        parse_filter({"plot": {"text": text}}, CONFIG)


def test_a_changed_text_is_found_by_its_new_words_only(space: Recommender) -> None:
    rec = Recommender(space.client, space._queue, space.space)
    rec.upsert_items([{"id": "99", "title": "first title", "payload": {"plot": "first plot"}}])
    rec.upsert_items([{"id": "99", "payload": {"plot": "second 電影"}}])
    assert listed(rec, {"plot": {"text": "first"}}) == set() and listed(rec, {"plot": {"text": "電影"}}) == {99}
    assert listed(rec, {"title": {"text": "first title"}}) == {99}
    rec.upsert_items([{"id": "99", "title": "third"}])
    assert listed(rec, {"title": {"text": "first"}}) == set() and listed(rec, {"plot": {"text": "second"}}) == {99}
    rec.update_items([{"id": "99", "payload": {"plot": None}}])
    assert listed(rec, {"plot": {"text": "second"}}) == set() and 99 in listed(rec, {"plot": {"exists": False}})
    rec.upsert_items([{"id": "99", "title": "third"}], replace=True)
    assert listed(rec, {"title": {"text": "third"}, "plot": {"exists": False}}) == {99}
    rec.delete_items(["99"])
