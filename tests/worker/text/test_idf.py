"""Document frequencies of a space: by hand, and how long they are reused."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from llmrec_qdrant import Item, Recommender, SpaceConfig
from tests.spaces import EITHER, space_on, store_of
from workers.text import idf
from workers.text.idf import Vocabulary

CONFIG = SpaceConfig(model="hash", size=8)


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    """Twenty items: all have the word *film*, one has *opera*."""
    with space_on(request, CONFIG) as rec:
        rec.upsert_items(Item(id=f"i{k}", title="film opera" if k == 0 else "film") for k in range(20))
        yield rec


def test_a_rare_word_weighs_more_and_an_unknown_one_counts_as_once_seen(rec: Recommender) -> None:
    vocabulary = Vocabulary.of(store_of(rec))
    assert (vocabulary.total, dict(vocabulary.counts)) == (20, {"film": 20, "opera": 1})
    assert vocabulary.idf("film") == pytest.approx(math.log(1 + 0.5 / 20.5))
    assert vocabulary.idf("opera") == vocabulary.idf("never") == pytest.approx(math.log(1 + 19.5 / 1.5))
    assert Vocabulary().idf("film") == 1.0, "without items every word counts alike"


def test_counts_are_reused_for_a_minute_or_until_the_catalogue_has_grown(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(idf.time, "monotonic", lambda: now[0])
    first = Vocabulary.of(store_of(rec))
    rec.upsert_items([Item(id="i20", title="opera")])  # one in twenty: within a tenth
    assert Vocabulary.of(store_of(rec)) is first
    now[0] += idf.MAX_COUNTS_AGE + 1
    assert Vocabulary.of(store_of(rec)).counts["opera"] == 2
    rec.upsert_items(Item(id=f"j{k}", title="opera") for k in range(4))  # more than a tenth
    assert Vocabulary.of(store_of(rec)).total == 25
