"""A training as a job: requested, resumed, cancelled."""

from __future__ import annotations

from typing import Any

import pytest

from llmrec_qdrant import JobFailed, Recommender, SpaceMismatch
from llmrec_qdrant.contracts.messages import RunJob
from llmrec_qdrant.testing import MemoryQueue
from tests.spaces import store_of
from tests.trainings import follow
from workers.dispatch import Worker
from workers.encoding import registry
from workers.reconcile import reconcile
from workers.storage import lease
from workers.storage.lease import take
from workers.training import factory
from workers.training import job as training_job


@pytest.mark.slow
def test_a_training_is_asked_for_watched_and_done(rec: Recommender) -> None:
    follow(rec)
    stages: dict[str, float] = {}

    def on_progress(stage: str, done: float, total: float | None) -> None:
        stages[stage.partition(":")[0]] = done

    with rec.watch(on_progress):
        job = rec.train(epochs=1, users=60)
    status = job.progress()
    assert (status.state, status.options["method"]) == ("done", "towers")
    assert job.result["offered"] is (job.result["metrics"]["verdict"] == "better")
    assert [one.name for one in registry.versions(rec.space)] == [job.result["version"]]
    assert [one.id for one in rec.jobs()] == ["train-1"] and rec.job("train-1").result == job.result
    assert stages["choosing"] > 0


def test_a_training_may_hide_the_latest_events_and_learns_from_them_in_the_end(
    served: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last tenth of all events lies in the fifth of five days: four are learned from, then all five."""
    seen: list[int] = []
    build = factory.build

    def watched(people: Any, *given: Any, **options: Any) -> Any:
        seen.append(sum(map(len, people.values())))
        return build(people, *given, **options)

    monkeypatch.setattr(factory, "build", watched)
    follow(served)
    job = served.train(epochs=1, users=60, split="time")
    assert job.progress().options["split"] == "time" and job.result["metrics"]["users"] >= 20
    assert seen == [90 * 4, 90 * 5]


def test_the_reconciler_finds_a_training_that_nobody_is_at(
    served: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(served)
    store = store_of(served)
    served._queue = queue = MemoryQueue()
    job = served.train(epochs=1, users=60)
    message = RunJob(space=served.space, job=job.id)
    assert queue.sent == [message]
    queue.sent.clear()  # lost
    assert message in list(reconcile(store))
    assert take(store, job.id) is not None  # another worker is at it
    assert message not in list(reconcile(store))
    assert Worker(served.client).run(message) == [] and job.progress().state == "running"  # a doubled message
    monkeypatch.setattr(lease, "JOB_LEASE_SECONDS", 0.0)  # and has died
    assert message in list(reconcile(store))
    Worker(served.client).run(message)
    assert job.progress().state == "done"


def test_another_training_waits_for_the_one_under_way_or_its_end(served: Recommender) -> None:
    follow(served)
    served._queue = MemoryQueue()
    first = served.train(users=60)
    assert served.train(users=60).id == first.id
    with pytest.raises(SpaceMismatch, match=r"job train-1 of space .* is under way with other options"):
        served.train("texts")
    assert first.cancel() and not first.cancel()
    with pytest.raises(JobFailed, match="train-1 was cancelled"):
        _ = first.result
    assert served.train("texts").id == "train-2"


def test_whoever_is_at_a_training_that_is_cancelled_stops(served: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    follow(served)
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.0)
    inline = served._queue
    served._queue = MemoryQueue()
    job = served.train(users=60)
    served._queue = inline

    def on_progress(stage: str, done: float, total: float | None) -> None:
        if "loss" in stage:
            job.cancel()

    assert Worker(served.client).run(RunJob(space=served.space, job=job.id), on_progress) == []
    assert job.progress().state == "cancelled"
    assert registry.versions(served.space) == []


def test_input_that_cannot_be_learned_from_ends_the_training_with_a_reason(served: Recommender) -> None:
    follow(served, users=3)
    status = served.train().progress()
    assert status.state == "failed" and "needs at least 40" in status.reason


def test_a_training_that_dies_at_one_place_fails(served: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    follow(served)
    attempts: list[int] = []

    def broken(*given: object, **options: object) -> None:
        attempts.append(1)
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(training_job, "train", broken)
    status = served.train().progress()
    assert status.state == "failed" and status.reason == "ZeroDivisionError: division by zero"
    assert len(attempts) == 3
