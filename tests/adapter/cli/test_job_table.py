"""What the table of jobs says of each."""

from __future__ import annotations

from typing import Any

import pytest

from llmrec_qdrant.cli.job_table import outcome, print_jobs
from llmrec_qdrant.contracts.jobs import JobStatus

BEGAN = "2026-01-01T00:00:00.000000Z"


def job(kind: Any, **more: Any) -> JobStatus:
    return JobStatus(**{"id": f"{kind}-1", "kind": kind, "created_at": BEGAN, "started_at": BEGAN, **more})


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (
            job("train", state="done", result={"version": "m-1", "offered": True}),
            "m-1: its lists are better than those of the model before it",
        ),
        (
            job("train", state="done", result={"version": "m-1", "metrics": {"verdict": "worse"}}),
            "m-1: its lists are worse than those of the model before it",
        ),
        (
            job("train", state="done", result={"version": "m-1", "offered": False}),
            "m-1: no better than the model before it",
        ),
        (
            job("reembed", state="done", result={"version": 2, "model": "hash"}, options={"changes": {"size": 32}}),
            "switched to version 2: hash",
        ),
        (
            job("reembed", state="done", result={"version": 2, "model": "hash"}, options={"changes": {}}),
            "nothing to do: version 2 had these settings",
        ),
        (
            job("generate", state="done", result={"written": 0, "requests": 12, "dry_run": True}),
            "dry run: 12 requests, nobody was asked",
        ),
        (job("generate", state="done", result={"written": 9, "requests": 12}), "9 texts written, 12 requests"),
        (job("fit-topics", state="done", result={"topics": 24}), "24 topics"),
        (job("tune", state="done", result={"stored": True, "changes": {"weights": {}}}), "1 setting changed"),
        (job("tune", state="done", result={"stored": True, "changes": {"a": 1, "b": 2}}), "2 settings changed"),
        (job("tune", state="done", result={"stored": False, "changes": {"a": 1}}), "nothing changed"),
        (job("train", state="running", note="loss 2.31"), "loss 2.31"),
        (job("train", state="failed", reason="no user took two items"), "no user took two items"),
    ],
)
def test_the_outcome_in_a_few_words(status: JobStatus, expected: str) -> None:
    assert outcome(status) == expected


def test_columns_of_work_under_way_are_there_only_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    ended = job("train", state="failed", finished_at="2026-01-01T00:03:00.000000Z", reason="[odd] reason")
    print_jobs([ended], "jobs")
    table = capsys.readouterr().out
    assert "3 min" in table and "[odd] reason" in table and "worker" not in table
    running = job("train", state="running", stage="epoch 2", done=30, total=120, owner="w1@host")
    print_jobs([running, ended], "jobs")
    table = capsys.readouterr().out
    for said in ("epoch 2", "30 of 120, 25%", "w1@host", "worker"):
        assert said in table
