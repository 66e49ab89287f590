"""Pages of points with texts: few points while texts may be long, many where they are short."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llmrec_qdrant import Item, Recommender, SpaceConfig
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.testing import MemoryQueue
from tests.spaces import EITHER, space_on, store_of
from workers.storage import store as store_module
from workers.storage.store import TEXTS_PER_READ


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, SpaceConfig(model="hash", size=32)) as made:
        made._queue = MemoryQueue()
        yield made


def sizes(rec: Recommender, payload: list[str] | bool) -> list[int]:
    return [len(page) for page in store_of(rec).at(1).items.pages(None, payload)]


def test_pages_of_short_texts_grow(rec: Recommender) -> None:
    rec.upsert_items([Item(id=f"i{k}", title=f"title {k}", text="short") for k in range(300)])
    assert sizes(rec, [Key.TEXT]) == sizes(rec, True) == [32, 64, 128, 76]
    assert sizes(rec, [Key.TITLE]) == [300]


def test_pages_of_long_texts_stay_small(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "CHARACTERS_PER_PAGE", 40 * 1_000)
    rec.upsert_items([Item(id=f"i{k}", title=f"title {k}", text="x" * 1_000) for k in range(150)])
    assert sizes(rec, [Key.TEXT]) == [32, 40, 40, 38]
    monkeypatch.setattr(store_module, "CHARACTERS_PER_PAGE", 1_000)
    assert max(sizes(rec, [Key.TEXT])) == TEXTS_PER_READ


def test_every_point_is_on_one_page(rec: Recommender) -> None:
    rec.upsert_items([Item(id=f"i{k}", title=f"title {k}", text="y" * (k % 7)) for k in range(200)])
    ids = [point.payload[Key.ITEM_ID] for page in store_of(rec).at(1).items.pages(None, True) for point in page]
    assert sorted(ids) == sorted(f"i{k}" for k in range(200))
