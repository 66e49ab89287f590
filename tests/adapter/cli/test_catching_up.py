"""Waiting for the workers, and what is said where there are none."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from llmrec_qdrant.cli import catching_up
from llmrec_qdrant.testing import MemoryQueue
from tests.commandline import FILMS, Llmrec, lines


def test_without_a_worker_the_work_is_stored(llmrec: Llmrec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmrec_qdrant.connect.inline_available", lambda: False)
    began = time.monotonic()
    ran = llmrec("load", "items", lines(tmp_path / "items.jsonl", FILMS), "--json")
    assert ran.code == 0
    assert time.monotonic() - began < 5  # nobody to wait for
    assert ran.json["status"]["items_stale"] == 4
    notices = ran.err.strip().splitlines()
    assert 1 <= len(notices) == len(set(notices))  # each once
    assert all(one.startswith("note: ") for one in notices)
    assert "warnings.warn" not in ran.err


def test_waiting_ends_when_nothing_moves(llmrec: Llmrec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmrec_qdrant.recommender.connection.open_queue", lambda *_: MemoryQueue())
    monkeypatch.setattr(catching_up, "QUIET_SECONDS", 0.3)
    monkeypatch.setattr(catching_up, "NO_WORKER_SECONDS", 0.1)
    monkeypatch.setattr(catching_up, "POLL_SECONDS", 0.05)
    path = lines(tmp_path / "items.jsonl", FILMS)
    ran = llmrec("load", "items", path)
    assert ran.code == 0
    assert ran.err.count("no worker has taken this up") == 1
    assert "no worker seems to be running" in ran.err and "`llmrec worker`" in ran.err
    assert re.fullmatch(r"took [\d.]+ s in all", ran.out.splitlines()[-1])  # nothing was encoded
    assert "no worker" not in llmrec("load", "items", path, "--no-wait").err
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert llmrec("reconcile", "--json").json["items_stale"] == 0
