"""Encoding: a slow or doubled worker changes nothing that is newer; on embedded Qdrant and on a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from qdrant_client.http.exceptions import ResponseHandlingException

from llmrec_qdrant import Item, Recommender, SpaceConfig
from llmrec_qdrant.contracts.messages import EmbedItems
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import DENSE, Key
from llmrec_qdrant.space.points import Point
from llmrec_qdrant.testing import HashEncoder, MemoryQueue
from tests.spaces import EITHER, interrupt, space_on, store_of
from workers.dispatch import Worker
from workers.storage.store import Store

CONFIG = SpaceConfig(model="hash", size=32)


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, CONFIG) as rec:
        rec._queue = MemoryQueue()
        yield rec


def embed_all(rec: Recommender, *ids: str) -> None:
    points = [point_id("item", item) for item in ids]
    Worker(rec.client).run(EmbedItems(space=rec.space, ids=points))


def item(rec: Recommender, name: str) -> Point:
    (point,) = store_of(rec).items.retrieve([point_id("item", name)], vectors=[DENSE])
    return point


def expected(text: str) -> Any:
    return pytest.approx(HashEncoder(CONFIG.size).encode([text])[0], abs=1e-6)


def test_a_slow_worker_does_not_overwrite_newer_text(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    rec.upsert_items([Item(id="a", title="old text"), Item(id="b", title="beside it")])
    interrupt(monkeypatch, lambda: rec.upsert_items([Item(id="a", title="new text")]))
    embed_all(rec, "a", "b")
    assert item(rec, "a").get(Key.STALE) is True and item(rec, "a").dense(DENSE) is None
    assert item(rec, "b").get(Key.STALE) is False
    monkeypatch.undo()
    embed_all(rec, "a", "b")
    assert item(rec, "a").get(Key.STALE) is False
    assert item(rec, "a").dense(DENSE) == expected("new text")


def test_a_deleted_item_does_not_come_back_and_its_neighbours_are_written(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    rec.upsert_items([Item(id="a", title="to be deleted"), Item(id="b", title="stays")])
    interrupt(monkeypatch, lambda: rec.delete_items(["a"]))
    embed_all(rec, "a", "b")
    assert store_of(rec).items.retrieve([point_id("item", "a")]) == []
    assert item(rec, "b").get(Key.STALE) is False and item(rec, "b").dense(DENSE)


def test_doing_a_message_twice_encodes_once(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    rec.upsert_items([Item(id="a", title="once")])
    interrupt(monkeypatch, lambda: calls.append(1))
    embed_all(rec, "a")
    embed_all(rec, "a", "never-was")
    assert calls == [1]


def test_old_vectors_serve_until_the_new_ones_arrive(rec: Recommender) -> None:
    rec.upsert_items([Item(id="a", title="first text")])
    embed_all(rec, "a")
    rec.upsert_items([Item(id="a", title="second text")])
    assert item(rec, "a").get(Key.STALE) is True
    assert item(rec, "a").dense(DENSE) == expected("first text")


def test_a_text_that_becomes_empty_loses_its_vectors(rec: Recommender) -> None:
    rec.upsert_items([Item(id="a", title="words")])
    embed_all(rec, "a")
    rec.upsert_items([Item(id="a", title="")])
    embed_all(rec, "a")


def test_a_short_absence_of_qdrant_costs_no_encoding(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    rec.upsert_items([Item(id="a", title="kept")])
    calls: list[int] = []
    interrupt(monkeypatch, lambda: calls.append(1))
    real, away = rec.client.batch_update_points, iter([True, True])

    def write(*args: Any, **kwargs: Any) -> Any:
        if calls and next(away, False):  # the text is encoded
            raise ResponseHandlingException(ConnectionError("refused"))
        return real(*args, **kwargs)

    monkeypatch.setattr(rec.client, "batch_update_points", write)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    embed_all(rec, "a")
    assert calls == [1] and item(rec, "a").get(Key.STALE) is False


def before_texts_are_read(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """``happens`` once, right before the first text is read."""
    whole = Store.retrieve
    waiting = [happens]

    def retrieve(store: Store, ids: Any, payload: Any = True, vectors: Any = False) -> list[Point]:
        if payload is not True and Key.TEXT in payload and waiting:
            waiting.pop()()
        return whole(store, ids, payload, vectors)

    monkeypatch.setattr(Store, "retrieve", retrieve)


def test_the_try_is_recorded_before_a_text_is_read(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    rec.upsert_items([Item(id="a", title="one"), Item(id="b", title="two")])

    def die() -> None:
        raise KeyboardInterrupt

    before_texts_are_read(monkeypatch, die)
    with pytest.raises(KeyboardInterrupt):
        embed_all(rec, "a", "b")
    assert [item(rec, name).get(Key.ATTEMPTS) for name in "ab"] == [1, 1]
    embed_all(rec, "a", "b")
    assert [item(rec, name).get(Key.ATTEMPTS) for name in "ab"] == [0, 0]
    assert item(rec, "b").dense(DENSE) == expected("two")


def test_an_edit_between_the_try_and_the_reading_of_texts_wins(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    rec.upsert_items([Item(id="a", title="old"), Item(id="b", title="beside")])
    before_texts_are_read(monkeypatch, lambda: rec.upsert_items([Item(id="a", title="new")]))
    embed_all(rec, "a", "b")
    assert (item(rec, "a").get(Key.STALE), item(rec, "a").dense(DENSE)) == (True, None)
    assert item(rec, "b").get(Key.STALE) is False
    embed_all(rec, "a")
    assert item(rec, "a").dense(DENSE) == expected("new")
