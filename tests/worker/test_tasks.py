"""Tasks: what is published, and how sweeps and clocks get along. No server needed."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import pytest
from qdrant_client import QdrantClient

from llmrec_qdrant import Recommender, SpaceConfig
from llmrec_qdrant.connect import open_sync
from llmrec_qdrant.contracts.messages import EmbedItems, Message, Reconcile, RunJob
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.space.ids import point_id


@pytest.mark.parametrize("tenant", ["acme", ""])
def test_a_worker_serves_all_tenants_or_does_not_start(
    tasks: ModuleType, monkeypatch: pytest.MonkeyPatch, tenant: str
) -> None:
    monkeypatch.setenv("LLMREC_TENANT", tenant)
    with pytest.raises(InvalidInput, match="a worker serves all tenants: unset LLMREC_TENANT"):
        importlib.import_module("workers.app")._broker()


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("LLMREC_BROKER", "redis://localhost:1/0")
    return importlib.import_module("workers.tasks")


@pytest.mark.parametrize(
    "message",
    [Reconcile(space="t"), RunJob(space="t", job="train-1"), EmbedItems(space="t", ids=[point_id("item", "a")])],
)
def test_no_message_expires(tasks: ModuleType, monkeypatch: pytest.MonkeyPatch, message: Message) -> None:
    """Celery drops an expired message by the clocks of two machines, without a word."""
    sent: list[Any] = []
    monkeypatch.setattr(tasks.app, "send_task", lambda name, **options: sent.append(options))
    tasks.publish(message)
    assert sent == [{"kwargs": message.model_dump(mode="json"), "queue": message.destination()}]
    assert not tasks.app.conf.beat_schedule and tasks.app.conf.task_default_queue == "batch"


def test_a_sweep_while_qdrant_is_away_leaves_it_to_the_next(
    tasks: ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tasks, "client", lambda: open_sync("http://127.0.0.1:1"))
    monkeypatch.setattr(tasks, "_swept_at", float("-inf"))
    tasks.sweep()
    assert "the next sweep tries again" in caplog.text


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
