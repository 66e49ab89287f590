"""The lease of a job: exactly one worker owns it, and keeps it alive with a heartbeat every few seconds.

A worker takes a job by writing its own name into the record with compare-and-set, so only one wins. Every later write
names the revision it follows; a worker that was thought dead, or whose job was cancelled, meets another revision and stops.
An owner is dead when its record has not changed for ``JOB_LEASE_SECONDS``, either on this process's monotonic clock or by
the heartbeat's timestamp. The clocks of two machines may differ, so a second look confirms the latter. In an embedded folder
an owner from an earlier opening is dead for certain, since the folder could be opened again.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from llmrec_qdrant.contracts.messages import Message, RunJob
from llmrec_qdrant.errors import LlmrecError, SpaceNotFound
from llmrec_qdrant.operations import job_records
from llmrec_qdrant.operations.clock import iso, now, present
from llmrec_qdrant.queues.base import OnProgress
from llmrec_qdrant.space.job_record import MAX_ATTEMPTS, JobRecord

from .alive import touch
from .store import SpaceStore

__all__ = ["Done", "JobLost", "Lease", "More", "Outcome", "WatcherFailed", "announcements", "take"]

log = logging.getLogger("llmrec.worker")

BEAT_SECONDS = 5.0
"""Seconds between two heartbeats."""
JOB_LEASE_SECONDS = 30.0
"""Seconds without a heartbeat after which another worker takes over a job."""
CONFIRM_SECONDS = 1.5 * BEAT_SECONDS
"""Seconds between two looks at an owner that is dead by its timestamp only."""
ANNOUNCE_SECONDS = 15.0
"""Seconds after which a job that waits for a worker is announced again."""
MAX_REMEMBERED_JOBS = 1_000
"""Jobs whose last change a process remembers."""


@dataclass(frozen=True)
class Done:
    """A job has ended with a result."""

    result: Mapping[str, Any]
    messages: Sequence[Message] = ()
    """Messages to send afterwards."""


@dataclass(frozen=True)
class More:
    """A slice of a job has ended; the next message resumes it."""

    messages: Sequence[Message] = ()
    """Work that must be done first."""
    at_once: bool = True
    """Whether to resume right after ``messages``; if not, the reconciler announces the job again."""


Outcome = Done | More


class JobLost(Exception):
    """The job was cancelled, or another worker has taken it over: stop."""


class WatcherFailed(Exception):
    """The caller's ``on_progress`` raised the error in ``__cause__``; the job is not to blame."""


class Lease:
    """A job that this worker owns. Thread-safe, as the heartbeat runs in a thread of its own."""

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
        """The record with this worker's changes, including those not stored yet."""
        return self._record

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of the request."""
        return self._record.options

    @property
    def cursor(self) -> Mapping[str, Any]:
        """Where the previous worker stopped, updated by this one."""
        return self._record.cursor

    # --- on the way -------------------------------------------------------------------------------

    def report(self, stage: str, done: float = 0, total: float | None = None, note: str = "") -> None:
        """Report progress; it is stored with the next heartbeat.

        Raises :class:`JobLost` if the job is no longer this worker's, :class:`WatcherFailed` if ``on_progress`` raises.
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
        """Update the cursor, from which another worker would resume; stored with the next heartbeat."""
        with self._lock:
            self._record = self._record.with_cursor(cursor)

    def advance(self, **cursor: Any) -> None:
        """Update the cursor and note that the job has progressed: earlier failed attempts no longer count."""
        with self._lock:
            self._record = self._record.advanced(cursor)

    def check(self) -> None:
        """Raise :class:`JobLost` if a heartbeat has found that the job is no longer this worker's."""
        if self._lost:
            raise JobLost

    def save(self) -> None:
        """Store the record now.

        Raises :class:`JobLost` if the job is no longer this worker's.
        """
        self._write(lambda record: record.reported(now()))

    def beat(self) -> None:
        """Store a heartbeat. If Qdrant is away, log it only; if the space was deleted, the job is lost."""
        try:
            touch()
            self.save()
        except (JobLost, SpaceNotFound):
            self._lost = True
        except LlmrecError as error:
            log.warning("job %s of %s could not store a heartbeat: %s", self.id, self._store.name, error)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Send heartbeats from a thread while the block runs. A client that serves one thread only needs none."""
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
        """End the job with a result.

        Raises :class:`JobLost`, as do :meth:`fail` and :meth:`release`.
        """
        self._write(lambda record: record.finished(result, now()))

    def fail(self, reason: str) -> None:
        """End the job as failed."""
        self._write(lambda record: record.failed(reason, now()))

    def release(self, reason: str = "", forgiven: bool = True) -> None:
        """Give the job back, for another worker or a later message; unless ``forgiven``, this counts as a failed attempt."""
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
                self._stored = current  # an earlier write succeeded although its answer was lost


# --- taking a job up ------------------------------------------------------------------------------


def take(store: SpaceStore, job: str, on_progress: OnProgress | None = None) -> Lease | None:
    """Take the lease of a job; returns None if the job has ended, another worker owns it, or it was tried too often."""
    record = store.run(job_records.read(store.space, job))
    if record is None or not record.active or (record.owner and not _dead(store, record)):
        return None
    if record.attempts >= MAX_ATTEMPTS:
        where = record.stage or "start"
        reason = record.reason or f"its worker died {record.attempts} times at the same place ({where})"
        log.error("job %s of %s failed: %s", job, store.name, reason, extra={"job_failed": True})
        store.run(job_records.replace(store.space, record, record.failed(reason, now())))
        return None
    owner = f"{store.session}{uuid.uuid4().hex[:12]}"
    claimed = store.run(job_records.replace(store.space, record, record.claimed(owner, now())))
    return None if claimed is None else Lease(store, claimed, on_progress)


def announcements(store: SpaceStore, everything: bool) -> Iterator[RunJob]:
    """Yield messages for the jobs that no worker is running; ``everything`` includes jobs announced a moment ago."""
    for record in store.run(job_records.list_records(store.space)):
        if not record.active:
            continue
        seconds = JOB_LEASE_SECONDS if record.owner else ANNOUNCE_SECONDS
        free = everything and not record.owner
        if free or _left(store, record) or unchanged_for(store, record, seconds):
            yield RunJob(space=store.name, job=record.id)


_SEEN: dict[tuple[str, str], tuple[str, str, float]] = {}
"""Space and job → owner, revision, and when this process first saw them (seconds of its own clock)."""


def unchanged_for(store: SpaceStore, record: JobRecord, seconds: float) -> bool:
    """Whether the record has not changed for ``seconds``, on this process's clock or by its own timestamp."""
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
        not (moved and owner) and stamp < iso(present() - timedelta(seconds=seconds))
    )


def _left(store: SpaceStore, record: JobRecord) -> bool:
    """Whether the owner had an embedded folder open that this process has opened since."""
    return bool(record.owner and store.session) and not record.owner.startswith(store.session)


def _dead(store: SpaceStore, record: JobRecord) -> bool:
    """Whether the owner has missed its heartbeats; where only the timestamp says so, a second look decides."""
    if _left(store, record):
        return True
    if not unchanged_for(store, record, JOB_LEASE_SECONDS):
        return False
    _, _, since = _SEEN[(store.name, record.id)]
    if time.monotonic() - since >= JOB_LEASE_SECONDS or not store.serves_threads:
        return True
    time.sleep(CONFIRM_SECONDS)
    again = store.run(job_records.read(store.space, record.id))
    return again is not None and again.revision == record.revision
