"""A training as a job: requested, resumed, cancelled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llmrec_qdrant import Recommender, SpaceMismatch
from llmrec_qdrant.contracts.messages import Train
from llmrec_qdrant.operations import training
from llmrec_qdrant.operations.clock import iso
from llmrec_qdrant.operations.steps import drive
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.testing import MemoryQueue
from tests.spaces import store_of
from tests.trainings import follow
from workers.dispatch import Worker
from workers.encoding import registry
from workers.reconcile import reconcile
from workers.training import factory
from workers.training import job as training_job
from workers.training import job as trainings


@pytest.mark.slow
def test_a_training_is_asked_for_watched_and_done(rec: Recommender) -> None:
    follow(rec)
    job = rec.train(epochs=1, users=60)
    assert (job.stage, job.method, job.offered) == ("done", "towers", True)
    assert [one.name for one in registry.versions(rec.space)] == [job.version] == [rec.training().version]  # type: ignore[union-attr]


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
    assert (job.stage, job.split, job.offered) == ("done", "time", True)
    assert seen == [90 * 4, 90 * 5]


def test_the_reconciler_finds_a_training_that_nobody_is_at(
    served: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(served)
    served._queue = queue = MemoryQueue()
    served.train(epochs=1, users=60)
    assert [type(one) for one in queue.sent] == [Train]
    queue.sent.clear()  # lost
    place = served._space.at(1)
    assert Train(space=served.space) in list(reconcile(store_of(served)))
    job = training_job.read(served.client, place)
    assert job is not None
    busy = job.model_copy(update={"stage": "training", "holder": "somebody", "beat": iso(datetime.now(UTC))})
    drive(training.write(place, busy), served.client, NoQueue())
    assert Train(space=served.space) not in list(reconcile(store_of(served)))
    assert training_job.work(served.client, place, served.config) is None  # a doubled message
    dead = busy.model_copy(update={"beat": iso(datetime.now(UTC) - timedelta(seconds=61))})
    drive(training.write(place, dead), served.client, NoQueue())
    assert Train(space=served.space) in list(reconcile(store_of(served)))
    Worker(served.client).run(Train(space=served.space))
    assert served.training().stage == "done"  # type: ignore[union-attr]


def test_another_training_waits_for_the_one_under_way_or_its_end(served: Recommender) -> None:
    follow(served)
    served._queue = MemoryQueue()
    first = served.train(users=60)
    assert served.train(users=60).run == first.run
    with pytest.raises(SpaceMismatch, match="already being trained"):
        served.train("texts")
    assert served.cancel_training() and not served.cancel_training()
    assert served.training().reason == "given up"  # type: ignore[union-attr]


def test_whoever_is_at_a_training_that_is_given_up_stops(served: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    follow(served)
    monkeypatch.setattr(trainings, "BEAT", 0.0)
    served._queue = MemoryQueue()
    served.train(users=60)

    def report(stage: str, done: float, total: float) -> None:
        if "loss" in stage:
            served.cancel_training()

    place = served._space.at(1)
    assert training_job.work(served.client, place, served.config, report) is None
    assert served.training().reason == "given up"  # type: ignore[union-attr]
    assert registry.versions(served.space) == []


def test_input_that_cannot_be_learned_from_ends_the_training_with_a_reason(served: Recommender) -> None:
    follow(served, users=3)
    job = served.train()
    assert job.stage == "failed" and "takes 40 or more" in job.reason


def test_a_training_that_dies_at_one_place_is_given_up(served: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    follow(served)
    monkeypatch.setattr(trainings, "train", lambda *given, **options: 1 / 0)
    job = served.train()
    for _ in range(training_job.TRIES):
        served.reconcile()
    job = served.training()  # type: ignore[assignment]
    assert job.stage == "failed" and job.reason == "ZeroDivisionError: division by zero"
