"""Requests, reads and changes the records of jobs.

A job is a record in ``{space}_jobs``. Every write is a compare-and-set on the record's revision: of two simultaneous writers
one succeeds, and the other notices. A new job takes the next number of its kind, which only one writer can insert, and only
once the previous job has ended. So a space has at most one active job per kind, without a lock.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from qdrant_client import models

from llmrec_qdrant.contracts.jobs import JobKind
from llmrec_qdrant.contracts.messages import Reconcile, RunJob
from llmrec_qdrant.errors import NotFound, SpaceMismatch, show
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.operations.steps import Steps, notify
from llmrec_qdrant.operations.versions import versions
from llmrec_qdrant.space.conditions import NEVER, equals, has_id, where
from llmrec_qdrant.space.job_record import REVISION, JobRecord
from llmrec_qdrant.space.layout import Space
from llmrec_qdrant.space.points import Point, nested, new_point

__all__ = [
    "COMMITTED", "active", "cancel", "find", "list_records", "of_kind", "read", "record_done", "replace", "request", "start",
    "unreadable",
]  # fmt: skip

MAX_FINISHED_JOBS = 50
"""Finished jobs per kind whose records are kept."""
PAGE = 1_000
"""Records per request."""
_ID = r"[a-z-]{1,40}-[0-9]{1,18}"
IDLE_ROUNDS = 3
"""Rounds without a change of the job after which this process leaves it to other workers."""
COMMITTED = "switching"
"""Stage at which a job can no longer be cancelled: readers are about to see the new version or the new settings."""
NEWEST_WINS: frozenset[JobKind] = frozenset({"fit-topics"})
"""Kinds whose new requests replace the job under way; for other kinds a different request is refused, and so is one around an edit."""


def read(space: Space, job: str) -> Steps[JobRecord | None]:
    """Return the record of a job; None if it does not exist."""
    points = yield from calls.retrieve(space.jobs, [JobRecord.point_of(job)])
    return JobRecord.read(points[0]) if points else None


def find(space: Space, job: str) -> Steps[JobRecord]:
    """Return the record of a job.

    Raises :class:`NotFound` if it does not exist.
    """
    written: object = job
    record = (yield from read(space, job)) if isinstance(written, str) and re.fullmatch(_ID, written) else None
    if record is None:
        raise NotFound(f"space {space.name!r} has no job {show(job)}: `llmrec jobs` lists them")
    return record


def list_records(space: Space, limit: int | None = None) -> Steps[list[JobRecord]]:
    """Return the records of all jobs, or of the latest ``limit``, newest first.

    Leaves out kinds that a later version has added: those are for its workers. Also those that :func:`unreadable` names.
    """
    points = yield from _points(space)
    known = [JobRecord.read(point) for point in points if point.get("kind") in get_args(JobKind)]
    readable = [record for record in known if record is not None]
    return sorted(readable, key=lambda record: record.created_at, reverse=True)[:limit]


def unreadable(space: Space) -> Steps[list[str]]:
    """Return a sentence for each record that is malformed; no worker takes such a job up."""
    points = yield from _points(space)
    later = [isinstance(point.get("kind"), str) and point.get("kind") not in get_args(JobKind) for point in points]
    return [
        f"the record of a job at point {point.id} of {space.jobs} cannot be read: delete it"
        for point, is_later in zip(points, later, strict=True)
        if not is_later and JobRecord.read(point) is None
    ]


def _points(space: Space) -> Steps[list[Point]]:
    points, offset = yield from calls.scroll(space.jobs, limit=PAGE)
    while offset is not None:
        more, offset = yield from calls.scroll(space.jobs, limit=PAGE, offset=offset)
        points += more
    return points


def of_kind(records: Iterable[JobRecord], kind: JobKind) -> list[JobRecord]:
    """The records of a kind, newest first: by number, since the clocks of those who asked may differ."""
    return sorted((record for record in records if record.kind == kind), key=lambda record: -record.number)


def active(space: Space, kind: JobKind) -> Steps[JobRecord | None]:
    """Return the job of this kind that waits or runs; None if there is none."""
    records = yield from list_records(space)
    return next((record for record in records if record.kind == kind and record.active), None)


def replace(space: Space, before: JobRecord, after: JobRecord) -> Steps[JobRecord | None]:
    """Store ``after`` in place of ``before``; None if another process has changed the record since."""
    after = after.model_copy(update={"revision": uuid.uuid4().hex})
    unchanged = where(has_id(before.point), equals(REVISION, before.revision))
    write = models.SetPayload(payload=nested(after.payload()), filter=unchanged)
    yield from calls.update(space.jobs, [models.OverwritePayloadOperation(overwrite_payload=write)])
    stored = yield from read(space, before.id)
    return after if stored is not None and stored.revision == after.revision else None


# --- requesting a job -----------------------------------------------------------------------------


def request(space: Space, kind: JobKind, options: Mapping[str, Any]) -> Steps[JobRecord]:
    """Return the job of this kind with these options that is under way, or a new one that waits for a worker.

    Raises :class:`SpaceMismatch` while a job with other options is under way, except for kinds in :data:`NEWEST_WINS`;
    :class:`Unauthorized` if the API key cannot reach what the job works on.
    """
    yield from versions(space)
    taken = 0
    while True:
        records = yield from list_records(space)
        mine = of_kind(records, kind)
        under_way = next((record for record in mine if record.active), None)
        if under_way is None:
            taken = 1 + max([taken, *(record.number for record in mine)])  # an unreadable record has its number, too
            record = yield from _insert(space, JobRecord.new(kind, taken, options, now()))
            if record is not None:
                yield from _prune(space, mine)
                return record
        elif under_way.options == dict(options):
            return under_way
        elif kind in NEWEST_WINS and not any(_edits(asked) for asked in (under_way.options, options)):
            yield from cancel(space, under_way.id, "replaced by a newer request")
        else:
            raise SpaceMismatch(
                f"job {under_way.id} of space {space.name!r} is under way with other options ({under_way.options}): wait "
                f"for it, or stop it with `llmrec jobs {under_way.id} --cancel`"
            )


def _edits(options: Mapping[str, Any]) -> bool:
    """Whether a job makes a change that a person decided on: it must not be lost, nor meet topics that are in flux."""
    return bool(options.get("merge") or options.get("split"))


def _insert(space: Space, record: JobRecord) -> Steps[JobRecord | None]:
    """Store a new record; None if its number is taken."""
    record = record.model_copy(update={"revision": uuid.uuid4().hex})
    yield from calls.upsert(space.jobs, [new_point(record.point, record.payload())], only_if=NEVER)
    stored = yield from read(space, record.id)
    mine = stored is not None and (stored.created_at, stored.options) == (record.created_at, record.options)
    return stored if mine else None


def _prune(space: Space, older: list[JobRecord]) -> Steps[None]:
    gone = [record.point for record in older if not record.active][MAX_FINISHED_JOBS:]
    if gone:
        yield from calls.delete(space.jobs, where(has_id(*gone)))


def start(space: Space, kind: JobKind, options: Mapping[str, Any], inline: bool) -> Steps[JobRecord]:
    """Request a job and announce it; with ``inline``, this process does the work before this returns."""
    record = yield from request(space, kind, options)
    yield from notify([RunJob(space=space.name, job=record.id)])
    if inline:
        yield from _work_here(space, record)
    return (yield from find(space, record.id))


def _work_here(space: Space, record: JobRecord) -> Steps[None]:
    """Do pending work until the job has ended, or until another worker has it and it no longer changes."""
    idle = 0
    current = yield from find(space, record.id)
    while current.active and idle < IDLE_ROUNDS:
        yield from notify([Reconcile(space=space.name, everything=True)])
        before, current = current, (yield from find(space, record.id))
        idle = 0 if current.revision != before.revision else idle + 1


def record_done(space: Space, kind: JobKind, options: Mapping[str, Any], result: Mapping[str, Any]) -> Steps[JobRecord]:
    """Record a job that has nothing to do as done."""
    record = yield from request(space, kind, options)
    while record.active:
        at = now()
        done = record.claimed("", at).finished(result, at)
        yield from replace(space, record, done)
        record = yield from find(space, record.id)
    return record


# --- stopping a job -----------------------------------------------------------------------------


def cancel(space: Space, job: str, reason: str = "on request") -> Steps[bool]:
    """Stop a job; its worker stops within seconds. False if it has ended, or can no longer be stopped.

    Raises :class:`NotFound` if it does not exist.
    """
    while True:
        record = yield from find(space, job)
        if not record.active or record.stage == COMMITTED:
            return False
        if (yield from replace(space, record, record.cancelled(reason, now()))):
            return True
