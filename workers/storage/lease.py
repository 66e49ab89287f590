"""The lease of a job: one worker owns it, and says every few seconds that it is alive.

Whoever takes a job up writes its own name into the record by compare-and-set, so one worker wins. Every later write names
the revision it follows; a worker that was thought dead, or whose job was cancelled, finds another revision there and stops.
An owner is dead when its record has not changed for ``JOB_LEASE_SECONDS`` seconds: as this process saw it, on a clock that only runs
forward, or by the heartbeat's own time. The clocks of two machines may differ, so the latter is confirmed by a second look.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from llmrec_qdrant.contracts.messages import Message, RunJob
from llmrec_qdrant.errors import LlmrecError, SpaceNotFound
from llmrec_qdrant.operations import job_records
from llmrec_qdrant.operations.clock import iso, now
from llmrec_qdrant.queues.base import OnProgress
from llmrec_qdrant.space.job_record import MAX_ATTEMPTS, JobRecord

from .store import SpaceStore

__all__ = ["Done", "JobLost", "Lease", "More", "Outcome", "WatcherFailed", "announcements", "take"]

log = logging.getLogger("llmrec.worker")

BEAT_SECONDS = 5.0
"""Seconds between two heartbeats."""
JOB_LEASE_SECONDS = 60.0
"""Seconds without a heartbeat after which another worker takes a job up."""
CONFIRM_SECONDS = 1.5 * BEAT_SECONDS
"""Seconds between two looks at an owner that is dead by its own clock only."""
ANNOUNCE_SECONDS = 15.0
"""Seconds after which a job that waits for a worker is announced again."""
MAX_REMEMBERED_JOBS = 1_000
"""Jobs whose last change a process remembers."""


@dataclass(frozen=True)
class Done:
    """A job has ended with a result."""

    result: Mapping[str, Any]
    messages: Sequence[Message] = ()
    """What follows from it."""


@dataclass(frozen=True)
class More:
    """A slice of a job has ended; the next message takes it up again."""

    messages: Sequence[Message] = ()
    """What must be done before."""
    at_once: bool = True
    """False: it waits for other work; the reconciler announces it again."""


Outcome = Done | More


class JobLost(Exception):
    """The job was cancelled, or another worker has taken it up: stop."""


class WatcherFailed(Exception):
    """The caller's ``on_progress`` raised: its error is the cause. The job is not to blame."""


class Lease:
    """A job that this worker owns. Safe to share with the thread of the heartbeat."""

    def __init__(self, store: SpaceStore, record: JobRecord, on_progress: OnProgress | None = None) -> None:
        self._store, self._stored, self._record, self._on_progress = store, record, record, on_progress
        self._owner = record.owner
        self._beaten = time.monotonic()
        self._lost = False
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"Lease({self.id!r} of {self._store.name!r})"

    @property
    def id(self) -> str:
        """Id of the job."""
        return self._record.id

    @property
    def record(self) -> JobRecord:
        """The record as this worker has it, with what is not yet stored."""
        return self._record

    @property
    def options(self) -> Mapping[str, Any]:
        """What was asked for."""
        return self._record.options

    @property
    def cursor(self) -> Mapping[str, Any]:
        """Where the worker before this one stopped, or what this one has kept since."""
        return self._record.cursor

    # --- on the way -------------------------------------------------------------------------------

    def report(self, stage: str, done: float = 0, total: float | None = None, note: str = "") -> None:
        """Note the progress; it is stored with the next heartbeat, at most every ``BEAT_SECONDS`` seconds.

        Raises :class:`JobLost`, or :class:`WatcherFailed`.
        """
        if self._on_progress is not None:
            try:
                self._on_progress(f"{stage}: {note}" if note else stage, done, total)
            except Exception as error:
                raise WatcherFailed from error
        with self._lock:
            progress = {"stage": stage, "done": float(done), "total": total, "note": note}
            self._record = self._record.reported(self._record.heartbeat_at, **progress)
        if time.monotonic() - self._beaten > BEAT_SECONDS:
            self.beat()
        self.check()

    def keep(self, **cursor: Any) -> None:
        """Remember where another worker would go on; stored with the next heartbeat."""
        with self._lock:
            self._record = self._record.with_cursor(cursor)

    def advance(self, **cursor: Any) -> None:
        """As :meth:`keep`, and the job has got further: deaths before this point no longer count against it."""
        with self._lock:
            self._record = self._record.advanced(cursor)

    def check(self) -> None:
        """Raises :class:`JobLost` if a heartbeat found that the job is no longer this worker's."""
        if self._lost:
            raise JobLost

    def save(self) -> None:
        """Store everything now.

        Raises :class:`JobLost`.
        """
        self._write(lambda record: record.reported(now()))

    def beat(self) -> None:
        """A heartbeat. A short absence of Qdrant is no reason to stop; a deleted space is."""
        try:
            self.save()
        except (JobLost, SpaceNotFound):
            self._lost = True
        except LlmrecError as error:
            log.warning("job %s of %s could not store a heartbeat: %s", self.id, self._store.name, error)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Heartbeats within the block, even while a step takes long. Embedded Qdrant serves one thread, and needs none."""
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(BEAT_SECONDS):
                self.beat()

        thread = threading.Thread(target=run, name="heartbeat", daemon=True)
        if self._store.serves_threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            if thread.is_alive():
                thread.join()

    # --- at the end -------------------------------------------------------------------------------

    def finish(self, result: Mapping[str, Any]) -> None:
        """The job is done.

        Raises :class:`JobLost`; so do the others.
        """
        self._write(lambda record: record.finished(result, now()))

    def fail(self, reason: str) -> None:
        """The job ends without a result."""
        self._write(lambda record: record.failed(reason, now()))

    def release(self, reason: str = "", forgiven: bool = True) -> None:
        """Let another worker, or a later message, go on; not ``forgiven``: this was an attempt that failed."""
        self._write(lambda record: record.released(now(), reason, forgiven))

    def _write(self, change: Callable[[JobRecord], JobRecord]) -> None:
        with self._lock:
            while True:
                record = change(self._record)
                stored = self._store.run(job_records.replace(self._store.space, self._stored, record))
                if stored is not None:
                    self._stored = self._record = stored
                    self._beaten = time.monotonic()
                    return
                current = self._store.run(job_records.read(self._store.space, self.id))
                if current is None or current.owner != self._owner or current.state != "running":
                    raise JobLost
                self._stored = current  # an earlier write arrived although its answer was lost


# --- taking a job up ------------------------------------------------------------------------------


def take(store: SpaceStore, job: str, on_progress: OnProgress | None = None) -> Lease | None:
    """The lease of a job; None if it has ended, another worker has it, or it was tried too often."""
    record = store.run(job_records.read(store.space, job))
    if record is None or not record.active or (record.owner and not _dead(store, record)):
        return None
    if record.attempts >= MAX_ATTEMPTS:
        reason = (
            record.reason or f"its worker died {record.attempts} times at the same place ({record.stage or 'start'})"
        )
        log.error("job %s of %s failed: %s", job, store.name, reason, extra={"job_failed": True})
        store.run(job_records.replace(store.space, record, record.failed(reason, now())))
        return None
    claimed = store.run(job_records.replace(store.space, record, record.claimed(uuid.uuid4().hex[:12], now())))
    return None if claimed is None else Lease(store, claimed, on_progress)


def announcements(store: SpaceStore, everything: bool) -> Iterator[RunJob]:
    """Messages for the jobs that no worker is at; ``everything``: also for those announced a moment ago."""
    for record in store.run(job_records.list_records(store.space)):
        if not record.active:
            continue
        seconds = JOB_LEASE_SECONDS if record.owner else ANNOUNCE_SECONDS
        if (everything and not record.owner) or unchanged_for(store, record, seconds):
            yield RunJob(space=store.name, job=record.id)


_SEEN: dict[tuple[str, str], tuple[str, str, float]] = {}
"""Space and job → owner, revision, and when this process first saw them (seconds of its own clock)."""


def unchanged_for(store: SpaceStore, record: JobRecord, seconds: float) -> bool:
    """Whether the record has not changed for so long: as this process saw it, or by its own time."""
    key = (store.name, record.id)
    owner, revision, since = _SEEN.get(key, (record.owner, "", time.monotonic()))
    moved = bool(revision) and owner == record.owner and revision != record.revision
    if revision != record.revision:
        since = time.monotonic()
    if len(_SEEN) > MAX_REMEMBERED_JOBS:
        _SEEN.clear()
    _SEEN[key] = (record.owner, record.revision, since)
    stamp = record.heartbeat_at or record.created_at
    return time.monotonic() - since >= seconds or (
        not (moved and owner) and stamp < iso(datetime.now(UTC) - timedelta(seconds=seconds))
    )


def _dead(store: SpaceStore, record: JobRecord) -> bool:
    """Whether the owner has missed its heartbeats. Where only the clocks say so, a second look decides."""
    if not unchanged_for(store, record, JOB_LEASE_SECONDS):
        return False
    _, _, since = _SEEN[(store.name, record.id)]
    if time.monotonic() - since >= JOB_LEASE_SECONDS or not store.serves_threads:
        return True
    time.sleep(CONFIRM_SECONDS)
    again = store.run(job_records.read(store.space, record.id))
    return again is not None and again.revision == record.revision
