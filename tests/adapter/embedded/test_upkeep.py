"""Upkeep of shards: the write-ahead log stays short, and a failure costs nobody an answer."""

from __future__ import annotations

import logging
import uuid
from pathlib import Path

import pytest
from qdrant_client import models

from llmrec_qdrant.embedded import upkeep
from llmrec_qdrant.embedded.client import EdgeClient
from llmrec_qdrant.errors import LlmrecError

DENSE = {"dense": models.VectorParams(size=4, distance=models.Distance.COSINE)}


class Shard:
    """Notes what is asked of it."""

    def __init__(self, failing: bool = False) -> None:
        self.calls: list[str] = []
        self.failing = failing

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.failing:
            raise RuntimeError("no space")

    def optimize(self) -> None:
        self._call("optimize")

    def flush(self) -> None:
        self._call("flush")


def points(count: int) -> models.UpsertOperation:
    rows = [models.PointStruct(id=str(uuid.UUID(int=k)), vector={"dense": [1.0, k, 0.0, 0.0]}) for k in range(count)]
    return models.UpsertOperation(upsert=models.PointsList(points=rows))


def test_points_lead_to_optimizing_and_every_update_to_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "OPTIMIZE_AFTER", 10)
    monkeypatch.setattr(upkeep, "FLUSH_AFTER", 12)
    shard, care = Shard(), upkeep.Upkeep()
    deletion = models.DeleteOperation(delete=models.PointIdsList(points=[str(uuid.UUID(int=1))]))
    told: list[list[str]] = []
    for operation in (points(9), points(1), deletion, deletion, *[deletion] * 12):
        care.after("a", shard, [operation])  # type: ignore[arg-type]
        care.after("b", Shard(), [deletion])  # type: ignore[arg-type]
        told.append(shard.calls)
        shard.calls = []
    assert told == [[], ["optimize"], [], ["flush"], *[[]] * 11, ["flush"]]


def test_a_failure_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(upkeep, "FLUSH_AFTER", 1)
    with caplog.at_level(logging.WARNING):
        upkeep.Upkeep().after("films", Shard(failing=True), [points(1)])  # type: ignore[arg-type]
    assert "upkeep of films failed" in caplog.text and "no space" in caplog.text
    assert not issubclass(RuntimeError, LlmrecError)


def test_the_log_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The engine itself cuts the log only when it is flushed."""

    def segments(name: str, flush_after: int) -> int:
        monkeypatch.setattr(upkeep, "FLUSH_AFTER", flush_after)
        client = EdgeClient(str(tmp_path / name))
        client.create_collection("films", DENSE)
        long = models.SetPayload(payload={"text": "x" * 2_000_000}, filter=models.Filter())
        client.batch_update_points("films", [points(1)])
        for _ in range(80):
            client.batch_update_points("films", [models.SetPayloadOperation(set_payload=long)])
        count = len(list((tmp_path / name).glob("collections/*/wal/*")))
        client.close()
        return count

    assert segments("flushed", 8) < segments("never", 10**9)
