"""Watching a job: what the bar is told, and when somebody is told that no worker runs."""

from __future__ import annotations

from typing import Any

import pytest

from llmrec_qdrant.cli import watching
from llmrec_qdrant.contracts.jobs import JobStatus


def status(**more: Any) -> JobStatus:
    return JobStatus(**{"id": "train-1", "kind": "train", "created_at": "2026-01-01T00:00:00Z", **more})


def test_the_bar_shows_stage_progress_and_interim_result() -> None:
    shown: list[tuple[Any, ...]] = []
    show = watching._Watcher(lambda *seen: shown.append(seen))
    show(status())
    show(status(state="running", stage="epoch 2", done=30, total=120, note="loss 2.31"))
    assert shown == [(0, None, "waiting"), (30, 120, "epoch 2 loss 2.31")]


def test_a_job_that_nobody_takes_up_is_mentioned_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watching, "NO_WORKER_SECONDS", -1.0)
    show = watching._Watcher(lambda *seen: None)
    show(status())
    show(status())
    assert capsys.readouterr().err.count("start one with `llmrec worker`") == 1
