"""A new version gets the longest texts there may be, in requests that Qdrant accepts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from llmrec_qdrant.contracts.checks import MAX_TEXT
from llmrec_qdrant.space.conditions import only
from llmrec_qdrant.space.layout import Key
from tests.spaces import EITHER, space_on, store_of
from workers.storage.align import align

LONG = 40
"""Texts of a million characters: together more than the 32 MB that Qdrant takes in a request."""


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, SpaceConfig(model="hash", size=32)) as made:
        yield made


def text(number: int) -> str:
    return f"{number} 山 river ".ljust(MAX_TEXT, "x")


@pytest.mark.slow
def test_a_new_version_has_the_longest_texts(rec: Recommender) -> None:
    for number in range(LONG):
        rec.upsert_items([Item(id=f"i{number}", title=f"t{number}", text=text(number))], notify=False)
    rec.track([Event(user="u", item="i1", type="review", text=text(1))])
    rec.upsert_items([Item(id=f"small{number}", title=f"small {number}") for number in range(60)])
    assert rec.reembed(size=16).wait(120).state == "done"
    items = {point.payload[Key.ITEM_ID]: point for page in store_of(rec).at(2).items.pages() for point in page}
    assert len(items) == LONG + 60 and not any(point.get(Key.STALE) for point in items.values())
    assert all(items[f"i{number}"].payload[Key.TEXT] == text(number) for number in range(LONG))


@pytest.mark.slow
def test_long_texts_that_differ_are_written_again(rec: Recommender) -> None:
    for number in range(LONG):
        rec.upsert_items([Item(id=f"i{number}", title=f"t{number}", text=text(number))], notify=False)
    rec.reconcile()
    assert rec.reembed(size=16).wait(120).state == "done"
    old, new = store_of(rec).at(1), store_of(rec).at(2)
    ids = [point.id for page in old.items.pages(None, False) for point in page]
    for point in ids:
        new.items.set_payload({Key.TEXT: "another", Key.SRC_HASH: "another"}, only(point))
    assert align(old, new, "items", ids) == LONG
    assert align(old, new, "items", ids) == 0
    texts = {point.payload[Key.ITEM_ID]: point.payload[Key.TEXT] for page in new.items.pages() for point in page}
    assert texts == {f"i{number}": text(number) for number in range(LONG)}
