"""What Qdrant refuses, and a Qdrant or a queue that goes away."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from llmrec_qdrant import Event, Item, QdrantRefused, QdrantUnavailable, Receipt, Recommender
from llmrec_qdrant.testing import MemoryQueue
from tests.loading import (
    CLICKS,
    FILMS,
    MANY,
    as_jsonl,
    item,
    load_text,
)


def test_another_tenants_items_are_refused_by_line(rec: Recommender, tmp_path: Path) -> None:
    bound = Recommender(rec.client, MemoryQueue(), rec.space, tenant="shop1")
    rows = [{"id": "a"}, {"id": "b", "tenant": "shop2"}, {"id": "c", "tenant": "shop1"}]
    result, refused = load_text(bound, tmp_path, as_jsonl(rows))
    assert (result.written, [one["line"] for one in refused]) == (2, [2])
    assert "shop2" in refused[0]["reason"]
    assert item(rec, "c", "shop1")


def test_one_row_that_qdrant_refuses_does_not_hold_back_the_others(
    rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upsert = rec.upsert_items

    def refusing(batch: Sequence[Item]) -> Receipt:
        if any(one.id == "m2" for one in batch):
            raise QdrantRefused("Qdrant refused the request (400): a poisoned point")
        return upsert(batch)

    monkeypatch.setattr(rec, "upsert_items", refusing)
    result, refused = load_text(rec, tmp_path, as_jsonl(FILMS))
    assert (result.written, [one["line"] for one in refused]) == (2, [2])
    assert "poisoned" in refused[0]["reason"]


def test_a_qdrant_that_refuses_everything_ends_the_load(
    rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(batch: Sequence[Item]) -> Receipt:
        raise QdrantRefused("Qdrant refused the request (507): no disk left")

    monkeypatch.setattr(rec, "upsert_items", refusing)
    with pytest.raises(QdrantRefused, match="no disk"):
        load_text(rec, tmp_path, as_jsonl(FILMS))


class Failing:
    """Fails so many times, then works."""

    def __init__(self, rec: Recommender, times: int) -> None:
        self._store, self.left = rec.load_events, times

    def __call__(self, batch: Sequence[Event]) -> Receipt:
        self.left -= 1
        if self.left >= 0:
            raise QdrantUnavailable("Qdrant does not answer (test)")
        return self._store(batch)


def test_a_restart_of_qdrant_is_waited_for(rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(rec, "load_events", Failing(rec, 3))
    notices: list[str] = []
    result, _ = load_text(rec, tmp_path, as_jsonl(CLICKS), kind="events", notice=notices.append)
    assert result.written == 3
    assert len(pauses) == 3
    assert sum("waiting" in notice for notice in notices) == 1


def test_patience_ends(rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(rec, "load_events", Failing(rec, 1_000))
    with pytest.raises(QdrantUnavailable, match="run the same command again"):
        load_text(rec, tmp_path, as_jsonl(CLICKS), kind="events")
    assert 45 <= sum(pauses) <= 120


def test_a_dead_queue_is_asked_once(rec: Recommender, tmp_path: Path) -> None:
    """Each refusal of a dead Redis takes seconds; a load has thousands of batches."""
    asked = 0

    class Dead:
        def send(self, message: object) -> None:
            nonlocal asked
            asked += 1
            from llmrec_qdrant import BrokerUnavailable

            raise BrokerUnavailable("Redis is down")

    deaf = Recommender(rec.client, Dead(), rec.space)
    with pytest.warns(UserWarning, match="Redis is down"):
        result, _ = load_text(deaf, tmp_path, as_jsonl(MANY))
    assert (result.written, result.queued, asked) == (1_000, False, 1)
    assert rec.status().items_stale == 1_000  # reconcile finds them all
