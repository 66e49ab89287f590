"""Work in this process goes on while more is stored, and nothing is lost when either side fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from llmrec_qdrant.errors import QdrantUnavailable
from llmrec_qdrant.queues.inline import ahead, watched
from llmrec_qdrant.testing import HashEncoder
from workers.items import embed

CONFIG = SpaceConfig(model="hash", size=16)


@pytest.fixture
def rec() -> Iterator[Recommender]:
    with Recommender.connect(path=":memory:", space="inline") as rec:
        rec.create(CONFIG)
        yield rec


def items(first: int, count: int) -> list[Item]:
    return [Item(id=str(number), title=f"title {number}") for number in range(first, first + count)]


class Meeting(HashEncoder):
    """Encodes the first texts only when two threads encode at the same time."""

    def __init__(self) -> None:
        super().__init__(CONFIG.size)
        self._barrier = threading.Barrier(2)
        self._calls = 0

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self._calls += 1
        if self._calls <= 2:
            self._barrier.wait(timeout=30)
        return super().encode(texts)


def test_two_messages_are_encoded_at_once(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Meeting()
    monkeypatch.setattr(embed, "load_encoder", lambda config: encoder)
    for number in range(2):
        rec.upsert_items(items(number, 1), notify=False)
    messages = [_message(rec, number) for number in range(2)]
    rec._queue.worker.drain(messages)  # type: ignore[attr-defined]
    assert rec.status().items_stale == 0


def _message(rec: Recommender, number: int) -> Any:
    from llmrec_qdrant.contracts.messages import EmbedItems
    from llmrec_qdrant.space.ids import point_id

    return EmbedItems(space=rec.space, ids=[point_id("item", str(number))])


def test_work_is_done_while_more_is_stored(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    encoding, stored = threading.Event(), threading.Event()

    class Slow(HashEncoder):
        def encode(self, texts: Sequence[str]) -> np.ndarray:
            encoding.set()
            assert stored.wait(30)
            return super().encode(texts)

    monkeypatch.setattr(embed, "load_encoder", lambda config: Slow(CONFIG.size))
    with ahead(rec._queue):
        rec.upsert_items(items(0, 3))
        assert encoding.wait(30)
        rec.upsert_items(items(3, 3))  # returns although the encoder waits
        assert rec.status().items_stale == 6
        stored.set()
    assert rec.status().items_stale == 0
    rec.upsert_items(items(6, 1))  # after the block, at once again
    assert rec.status().items_stale == 0


def test_a_block_that_fails_leaves_its_work_to_reconcile(rec: Recommender) -> None:
    with pytest.raises(KeyboardInterrupt), ahead(rec._queue):
        rec.upsert_items(items(0, 3))
        rec.upsert_items(items(3, 3))
        raise KeyboardInterrupt
    assert rec.status().items == 6
    rec.reconcile()
    assert rec.status().items_stale == 0


def test_an_error_of_the_work_reaches_the_caller(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: SpaceConfig) -> HashEncoder:
        raise QdrantUnavailable("gone")

    monkeypatch.setattr(embed, "load_encoder", fail)
    with pytest.raises(QdrantUnavailable, match="gone"), ahead(rec._queue):
        rec.upsert_items(items(0, 3))
    monkeypatch.undo()
    assert rec.status().items_stale == 3
    rec.reconcile()
    assert rec.status().items_stale == 0


def test_progress_counts_on_over_the_whole_block(rec: Recommender) -> None:
    seen: list[float] = []
    with watched(rec._queue, lambda stage, done, total: seen.append(done)), ahead(rec._queue):
        for first in range(0, 40, 10):
            rec.upsert_items(items(first, 10))
    assert seen == sorted(seen) and seen[-1] == 40


def test_users_are_refreshed_after_the_items_they_took(rec: Recommender) -> None:
    rec.load_events([Event(user="u", item="5", type="view", ts=1_600_000_000 + 1)])
    with ahead(rec._queue):
        for first in range(0, 20, 10):
            rec.upsert_items(items(first, 10))
    assert rec.status().users_stale == 0
    assert [interest for interest in rec.recommend("u", 3) if interest.id != "5"]
