"""``llmrec jobs`` and ``llmrec failures``."""

from __future__ import annotations

import pytest

from llmrec_qdrant import Recommender
from llmrec_qdrant.contracts.answers import Failure
from tests.commandline import Llmrec, one_sentence


def test_jobs_are_listed_newest_first_and_looked_at_one_by_one(filled: Llmrec) -> None:
    assert "no jobs yet" in filled("jobs").out
    assert filled("topics", "fit", "--number", "2").code == 0
    assert filled("topics", "fit").code == 0
    listed = filled("jobs", "--json").json
    assert [(job["id"], job["state"]) for job in listed] == [("fit-topics-2", "done"), ("fit-topics-1", "done")]
    assert filled("jobs", "--limit", "1", "--json").json == listed[:1]
    assert filled("jobs", "fit-topics-1", "--json").json == listed[1]
    table = filled("jobs").out
    assert table.index("fit-topics-2") < table.index("fit-topics-1")
    assert "topics" in table and "done" in table


def test_a_job_that_has_ended_or_never_was_cannot_be_cancelled(filled: Llmrec) -> None:
    filled("topics", "fit")
    assert "nothing to cancel" in filled("jobs", "fit-topics-1", "--cancel").out
    assert "has no job 'train-9'" in one_sentence(filled("jobs", "train-9"))
    assert "needs the id of a job" in " ".join(filled("jobs", "--cancel").err.split())


def test_without_workers_a_job_waits_and_can_be_cancelled(filled: Llmrec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmrec_qdrant.connect.inline_available", lambda: False)
    monkeypatch.setattr("llmrec_qdrant.cli.watching.inline_available", lambda: False)
    refused = one_sentence(filled("topics", "fit"), code=2)
    assert "pip install 'llmrec-qdrant[workers]'" in refused
    assert filled("jobs", "--json").json == []
    started = filled("topics", "fit", "--no-wait")
    assert started.code == 0
    assert "watch it: llmrec jobs fit-topics-1" in started.out
    assert filled("jobs", "--json").json[0]["state"] == "waiting"
    assert "nobody works on it" in filled("jobs", "fit-topics-1").out  # and does not wait for ever
    assert filled("jobs", "fit-topics-1", "--cancel", "--json").json["state"] == "cancelled"


def test_failures_are_listed_with_their_reason_and_retried(filled: Llmrec, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "nothing was set aside" in filled("failures").out
    failure = Failure(kind="item", id="m1", version=1, reason="the model failed on [this] text")
    monkeypatch.setattr(Recommender, "failures", lambda self: [failure])
    monkeypatch.setattr(Recommender, "retry", lambda self: 1)
    shown = filled("failures").out
    assert "m1" in shown and "failed on [this] text" in shown and "llmrec failures --retry" in shown
    assert "1 point tried again: llmrec failures lists" in filled("failures", "--retry").out
    assert "there may be more" not in shown
    monkeypatch.setattr(Recommender, "failures", lambda self: [failure] * 100)
    assert "the first 100; there may be more" in filled("failures").out
    monkeypatch.setattr(Recommender, "failures", lambda self: [failure])
    assert filled("failures", "--retry", "--json").json == {"failures": [failure.model_dump()], "retried": 1}
    monkeypatch.setattr("llmrec_qdrant.cli.watching.inline_available", lambda: False)
    assert "1 point will be tried again by a worker" in filled("failures", "--retry").out
