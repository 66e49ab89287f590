"""Tasks: what is published, and how sweeps and clocks get along. No server needed."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import pytest
from qdrant_client import QdrantClient

from llmrec_qdrant import Recommender, SpaceConfig
from llmrec_qdrant.contracts.messages import EmbedItems, Message, Reconcile, RunJob
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.space.ids import point_id

MAX_SKEW = 600.0
"""Seconds by which the clock of a machine may be wrong, in either direction."""


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("LLMREC_BROKER", "redis://localhost:1/0")
    return importlib.import_module("workers.tasks")


@pytest.mark.parametrize("message", [Reconcile(space="t"), RunJob(space="t", job="train-1")])
def test_a_message_outlives_the_skew_of_two_clocks(
    tasks: ModuleType, monkeypatch: pytest.MonkeyPatch, message: Message
) -> None:
    """Celery drops an expired message by the clocks of two machines, without a word."""
    sent: list[Any] = []
    monkeypatch.setattr(tasks.app, "send_task", lambda name, **options: sent.append(options["expires"]))
    tasks.publish(message)
    assert sent[0] >= 2 * MAX_SKEW
    assert tasks.app.conf.beat_schedule["sweep"]["options"]["expires"] >= 2 * MAX_SKEW
    tasks.publish(EmbedItems(space="t", ids=[point_id("item", "a")]))
    assert sent[1] is None


def test_sweeps_that_have_piled_up_are_done_once(tasks: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 100.0
    published: list[Message] = []
    client = QdrantClient(":memory:")
    Recommender(client, NoQueue(), "t").create(SpaceConfig(model="hash", size=8))
    monkeypatch.setattr(tasks, "client", lambda: client)
    monkeypatch.setattr(tasks, "publish", published.append)
    monkeypatch.setattr(tasks, "_swept_at", float("-inf"))
    monkeypatch.setattr(tasks.time, "monotonic", lambda: moment)
    for _ in range(20):
        tasks.sweep()
    assert published == [Reconcile(space="t")]
    moment += tasks.MIN_SWEEP_PAUSE
    tasks.sweep()
    assert len(published) == 2
