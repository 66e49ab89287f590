"""The lease of a job: one owner at a time, whatever clocks say and whoever dies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmrec_qdrant import Recommender, SpaceConfig
from llmrec_qdrant.errors import InvalidInput, NotFound, QdrantUnavailable
from llmrec_qdrant.operations import job_records
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.job_record import MAX_ATTEMPTS, JobRecord
from llmrec_qdrant.space.points import new_point
from llmrec_qdrant.testing import MemoryQueue
from tests.spaces import EITHER, space_on
from workers import jobs
from workers.storage import lease
from workers.storage.lease import Done, JobLost, Lease, More, announcements, take
from workers.storage.store import SpaceStore

CONFIG = SpaceConfig(model="hash", size=8)
OLD = "2001-01-01T00:00:00.000000Z"
FUTURE = "2101-01-01T00:00:00.000000Z"


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, CONFIG) as rec:
        rec._queue = MemoryQueue()
        yield rec


@pytest.fixture
def store(rec: Recommender) -> SpaceStore:
    return SpaceStore(rec.client, rec._space)


def stored(store: SpaceStore, job: str) -> JobRecord:
    return store.run(job_records.find(store.space, job))


def rewrite(store: SpaceStore, job: str, **values: Any) -> None:
    record = stored(store, job)
    assert store.run(job_records.replace(store.space, record, record.model_copy(update=values)))


def owned(store: SpaceStore, job: str) -> Lease:
    taken = take(store, job)
    assert taken is not None
    return taken


def handled_by(monkeypatch: pytest.MonkeyPatch, handle: Any) -> None:
    monkeypatch.setattr(jobs, "handler", lambda kind: handle)


def test_of_two_workers_one_takes_it_up(rec: Recommender, store: SpaceStore) -> None:
    job = rec.fit_topics().id
    if not store.serves_threads:
        assert take(store, job) and take(store, job) is None
        return
    start = threading.Barrier(8)
    taken: list[Lease | None] = []

    def worker() -> None:
        start.wait()
        taken.append(take(store, job))

    threads = [threading.Thread(target=worker) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one is not None for one in taken) == 1


def test_of_many_requests_at_once_one_job_comes(rec: Recommender, store: SpaceStore) -> None:
    if not store.serves_threads:
        assert rec.train().id == rec.train().id
        return
    start = threading.Barrier(8)
    asked: list[str] = []

    def request() -> None:
        start.wait()
        asked.append(rec.train().id)

    threads = [threading.Thread(target=request) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == ["train-1"] * 8
    assert [one.id for one in rec.jobs()] == ["train-1"]


def test_a_heartbeat_stores_progress_and_a_cancelled_job_is_lost(rec: Recommender, store: SpaceStore) -> None:
    job = rec.fit_topics()
    mine = owned(store, job.id)
    mine.report("marking items", 3, 9, "half way")
    mine.beat()
    status = job.progress()
    assert (status.state, status.stage, status.done, status.total, status.note) == (
        "running", "marking items", 3, 9, "half way",
    )  # fmt: skip
    assert status.owner and status.heartbeat_at >= status.started_at
    assert job.cancel()
    mine.beat()
    with pytest.raises(JobLost):
        mine.report("marking items", 4, 9)
    with pytest.raises(JobLost):
        mine.finish({"topics": 1})
    assert job.progress().state == "cancelled"


def test_an_owner_that_was_thought_dead_loses_its_writes(
    rec: Recommender, store: SpaceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = rec.fit_topics()
    slow = owned(store, job.id)
    monkeypatch.setattr(lease, "JOB_LEASE_SECONDS", 0.0)
    quick = owned(store, job.id)
    for write in (slow.save, lambda: slow.finish({}), lambda: slow.fail("no"), slow.release):
        with pytest.raises(JobLost):
            write()
    quick.finish({"topics": 2})
    assert job.result == {"topics": 2}


def test_a_write_whose_answer_was_lost_does_not_cost_the_lease(
    rec: Recommender, store: SpaceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = rec.fit_topics()
    mine = owned(store, job.id)
    read = job_records.read

    def lost(*given: Any) -> Any:
        raise QdrantUnavailable("timed out")
        yield

    monkeypatch.setattr(job_records, "read", lost)
    mine.beat()  # arrives, but nobody hears of it
    monkeypatch.setattr(job_records, "read", read)
    mine.finish({"topics": 2})
    assert job.result == {"topics": 2}


# --- clocks ---------------------------------------------------------------------------------------


def test_an_owner_whose_clock_is_behind_is_alive_while_its_record_moves(
    rec: Recommender, store: SpaceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look can only go by the clock; a second one, or a second heartbeat, shows that it is wrong."""
    monkeypatch.setattr(lease, "CONFIRM_SECONDS", 0.0)
    job = rec.fit_topics().id
    owner = owned(store, job)
    rewrite(store, job, heartbeat_at=OLD)
    assert list(announcements(store, everything=False))
    rewrite(store, job, heartbeat_at=OLD, done=1.0)
    assert not list(announcements(store, everything=False))
    rewrite(store, job, heartbeat_at=OLD, done=2.0)
    assert take(store, job) is None
    owner.finish({"topics": 1})


def test_an_owner_whose_clock_is_ahead_is_dead_when_its_record_does_not_move(
    rec: Recommender, store: SpaceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 1_000.0
    monkeypatch.setattr(lease.time, "monotonic", lambda: moment)
    job = rec.fit_topics().id
    owned(store, job)
    rewrite(store, job, heartbeat_at=FUTURE)
    assert take(store, job) is None
    moment += lease.JOB_LEASE_SECONDS
    assert take(store, job) is not None


# --- deaths and errors ----------------------------------------------------------------------------


def test_an_owner_of_an_earlier_opening_of_a_folder_is_dead_at_once(tmp_path: Path) -> None:
    def opened() -> Recommender:
        return Recommender.connect(path=str(tmp_path), space="films")

    with opened() as before:
        before.create(CONFIG)
        before._queue = MemoryQueue()
        job = before.fit_topics().id
        first = owned(SpaceStore(before.client, before._space), job)
        first.advance(place=7)
        first.save()
    with opened() as after:
        store = SpaceStore(after.client, after._space)
        assert stored(store, job).owner == first.record.owner
        assert [message.job for message in announcements(store, everything=False)] == [job]
        second = owned(store, job)
        assert second.cursor == {"place": 7} and second.record.owner != first.record.owner
        assert take(store, job) is None and not list(announcements(store, everything=True))


def test_a_job_whose_worker_dies_three_times_fails_with_its_reason(
    rec: Recommender, store: SpaceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "JOB_LEASE_SECONDS", 0.0)
    job = rec.train()
    for _ in range(MAX_ATTEMPTS):
        owned(store, job.id).keep(choosing=1)  # and is killed
    assert take(store, job.id) is None
    assert job.progress().reason == "its worker died 3 times at the same place (start)"
    assert not list(announcements(store, everything=True))


def test_deaths_before_a_step_forward_do_not_count(
    rec: Recommender, store: SpaceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "JOB_LEASE_SECONDS", 0.0)
    job = rec.train()
    for step in range(3 * MAX_ATTEMPTS):
        mine = owned(store, job.id)
        mine.advance(choosing=step)
        mine.save()  # and is killed
    assert stored(store, job.id).cursor == {"choosing": 8}


def test_an_error_is_an_attempt_and_an_absence_of_qdrant_is_none(
    rec: Recommender, store: SpaceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = rec.train()
    errors: list[Exception] = [QdrantUnavailable("away"), RuntimeError("no"), QdrantUnavailable("away")]

    def handle(mine: Lease, space: SpaceStore) -> Done | More:
        raise errors.pop(0)

    handled_by(monkeypatch, handle)
    with pytest.raises(QdrantUnavailable):
        jobs.run_job(store, job.id)
    assert stored(store, job.id).attempts == 0
    assert jobs.run_job(store, job.id) == []
    assert (stored(store, job.id).attempts, job.progress().reason) == (1, "RuntimeError: no")
    with pytest.raises(QdrantUnavailable):
        jobs.run_job(store, job.id)
    assert job.progress().state == "running"


def test_interrupting_lets_go_of_the_job(rec: Recommender, store: SpaceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(mine: Lease, space: SpaceStore) -> Done | More:
        raise KeyboardInterrupt

    handled_by(monkeypatch, handle)
    job = rec.train()
    with pytest.raises(KeyboardInterrupt):
        jobs.run_job(store, job.id)
    assert (job.progress().owner, job.progress().reason) == ("", "interrupted")
    assert take(store, job.id) is not None  # at once


def test_a_slice_ends_with_the_message_of_the_next(
    rec: Recommender, store: SpaceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = rec.train()
    outcomes: list[Done | More] = [More(), More(at_once=False), Done({"version": "m"})]
    handled_by(monkeypatch, lambda mine, space: outcomes.pop(0))
    assert [one.job for one in jobs.run_job(store, job.id)] == [job.id]  # type: ignore[attr-defined]
    assert jobs.run_job(store, job.id) == [] and job.progress().state == "running"
    assert [one.job for one in announcements(store, everything=True)] == [job.id]
    assert jobs.run_job(store, job.id) == [] and job.result == {"version": "m"}
    assert jobs.run_job(store, job.id) == []  # doubled: it has ended


@pytest.mark.qdrant
@pytest.mark.parametrize("rec", ["server"], indirect=True)
def test_heartbeats_go_on_while_a_step_takes_long(
    rec: Recommender, store: SpaceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.05)
    mine = owned(store, rec.train().id)
    seen: set[str] = set()
    with mine.beating():
        for _ in range(200):
            seen.add(stored(store, mine.id).heartbeat_at)
            if len(seen) > 3:
                break
            threading.Event().wait(0.05)
    assert len(seen) > 3


def test_the_newest_fifty_finished_jobs_of_a_kind_are_kept(rec: Recommender, store: SpaceStore) -> None:
    for _ in range(job_records.MAX_FINISHED_JOBS + 3):
        rec.fit_topics().cancel()
    assert len(rec.jobs(limit=1_000)) <= job_records.MAX_FINISHED_JOBS + 1
    assert rec.jobs(limit=1)[0].id == f"fit-topics-{job_records.MAX_FINISHED_JOBS + 3}"


def test_a_newer_request_replaces_a_fit_of_topics(rec: Recommender) -> None:
    first = rec.fit_topics(3)
    assert rec.fit_topics(3).id == first.id
    assert rec.fit_topics(4).id == "fit-topics-2"
    assert (first.progress().state, first.progress().reason) == ("cancelled", "replaced by a newer request")


def test_the_record_is_free_of_people(rec: Recommender, store: SpaceStore) -> None:
    rec.fit_topics()
    (point,), _ = store.jobs.scroll(limit=2)
    assert {key for key in point.payload if "user" in key or "tenant" in key} == set()


# --- who watches, and what is asked wrongly --------------------------------------------------------


@pytest.mark.parametrize("error", [ZeroDivisionError("mine"), InvalidInput("mine too")])
def test_what_a_watcher_raises_reaches_the_caller_and_the_job_goes_on(
    rec: Recommender, store: SpaceStore, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    job = rec.fit_topics()

    def watcher(*seen: object) -> None:
        raise error

    def handle(mine: Lease, space: SpaceStore) -> Done:
        mine.report("marking items", 1, 2)
        return Done({"topics": 0})

    handled_by(monkeypatch, handle)
    with pytest.raises(type(error), match="mine"):
        jobs.run_job(store, job.id, watcher)
    record = stored(store, job.id)
    assert (record.state, record.owner, record.attempts) == ("running", "", 0)
    jobs.run_job(store, job.id)
    assert job.result == {"topics": 0}


def test_a_job_of_a_deleted_space_stops_at_its_next_heartbeat(rec: Recommender, store: SpaceStore) -> None:
    mine = owned(store, rec.fit_topics().id)
    rec.client.delete_collection(rec._space.jobs)
    mine.beat()
    with pytest.raises(JobLost):
        mine.check()


def test_the_newest_job_of_a_kind_is_the_one_with_the_highest_number(rec: Recommender, store: SpaceStore) -> None:
    """Whoever asked for it may have a clock that is behind."""
    assert rec.fit_topics(3).cancel() and rec.fit_topics(4).cancel()
    rewritten = stored(store, "fit-topics-2").model_copy(update={"created_at": OLD})
    store.run(job_records.replace(store.space, stored(store, "fit-topics-2"), rewritten))
    records = store.run(job_records.list_records(store.space))
    assert [one.number for one in job_records.of_kind(records, "fit-topics")] == [2, 1]


def test_a_job_beyond_the_first_page_is_seen(
    rec: Recommender, store: SpaceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_records, "PAGE", 2)
    for _ in range(5):
        rec.fit_topics().cancel()
    assert len(rec.jobs()) == 5 and rec.fit_topics().id == "fit-topics-6"


def test_two_requests_in_one_moment_with_other_options_are_two_jobs(
    rec: Recommender, store: SpaceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_records, "now", lambda: OLD)
    insert = job_records._insert
    first = store.run(insert(store.space, JobRecord.new("train", 1, {"seed": 1}, OLD)))
    assert first is not None and store.run(insert(store.space, JobRecord.new("train", 1, {"seed": 2}, OLD))) is None


@pytest.mark.parametrize("id", ["train-7", "train", "", "x" * 10_000, "\ud800-1", "train-1\n", 7, None])
def test_an_id_that_no_job_has_is_not_found(rec: Recommender, id: Any) -> None:
    with pytest.raises(NotFound, match="llmrec jobs") as caught:
        rec.job(id)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("limit", [0, -1, "3", 2.5, True, None])
def test_a_limit_of_jobs_is_a_whole_number(rec: Recommender, limit: Any) -> None:
    with pytest.raises(InvalidInput, match="limit must be a whole number"):
        rec.jobs(limit)


@pytest.mark.parametrize("timeout", [-1, "3", True, float("nan")])
def test_a_timeout_is_a_number_of_seconds(rec: Recommender, timeout: Any) -> None:
    with pytest.raises(InvalidInput, match="timeout must be a number of seconds"):
        rec.fit_topics().wait(timeout)


def test_a_record_of_a_later_version_stops_nobody(rec: Recommender, store: SpaceStore) -> None:
    job = rec.fit_topics()
    condition = conditions.only(JobRecord.point_of(job.id))
    store.jobs.set_payload({"priority": 3, "bookkeeping.shard": "a"}, condition)
    later = {"id": "distil-1", "kind": "distil", "state": "waiting", "created_at": OLD}
    store.jobs.upsert([new_point(JobRecord.point_of("distil-1"), later)])
    assert [one.id for one in rec.jobs()] == [job.id]
    assert [one.job for one in announcements(store, everything=True)] == [job.id]
