"""Starts, reads, awaits and cancels jobs of every kind."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from llmrec_qdrant.contracts.jobs import (
    FitTopicsOptions,
    GenerateOptions,
    JobKind,
    JobStatus,
    TrainOptions,
    TuneOptions,
)
from llmrec_qdrant.contracts.messages import Reconcile
from llmrec_qdrant.errors import InvalidInput, SpaceNotFound, WorkPending, show
from llmrec_qdrant.operations import job_records, reembed
from llmrec_qdrant.operations.steps import Sleep, Steps, notify
from llmrec_qdrant.operations.switching import drop
from llmrec_qdrant.space.job_record import JobRecord
from llmrec_qdrant.space.layout import Space

__all__ = ["OnStatus", "cancel", "list_jobs", "look", "start", "wait"]

JOB_POLL_SECONDS = 0.5
"""Seconds between two reads of a job that is awaited."""

OnStatus = Callable[[JobStatus], None]
Options = TrainOptions | FitTopicsOptions | TuneOptions | GenerateOptions
"""Options of the kinds that :func:`start` starts."""
KIND_OF_OPTIONS: dict[type[Any], JobKind] = {
    TrainOptions: "train", FitTopicsOptions: "fit-topics", TuneOptions: "tune", GenerateOptions: "generate",
}  # fmt: skip


def start(space: Space, options: Options, inline: bool) -> Steps[JobStatus]:
    """Start a job, or return the one under way with the same options; with ``inline`` it has ended when this returns.

    Raises :class:`SpaceMismatch` while a training, tuning or generation with other options is under way; a topic fit is replaced.
    """
    kind = KIND_OF_OPTIONS[type(options)]
    record = yield from job_records.start(space, kind, options.model_dump(mode="json"), inline)
    return record.status()


def list_jobs(space: Space, limit: int) -> Steps[list[JobStatus]]:
    """Return the status of the latest ``limit`` jobs, newest first.

    Raises :class:`InvalidInput` for a limit that is no whole number of at least 1.
    """
    if type(limit) is not int or limit < 1:
        raise InvalidInput(f"limit must be a whole number of at least 1, not {show(limit)}")
    records = yield from job_records.list_records(space, limit)
    return [record.status() for record in records]


def look(space: Space, job: str) -> Steps[JobStatus]:
    """Return the status of a job; the progress of a re-embedding under way is counted in Qdrant.

    Raises :class:`NotFound` if it does not exist.
    """
    record = yield from job_records.find(space, job)
    return (yield from _counted(space, record)).status()


def _counted(space: Space, record: JobRecord) -> Steps[JobRecord]:
    number = record.cursor.get(reembed.VERSION)
    if record.kind != "reembed" or not record.active or number is None:
        return record
    try:
        done, total = yield from reembed.measure(space, number)
    except SpaceNotFound:  # the version was deleted in the meantime
        return record
    return record.model_copy(update={"done": done, "total": total})


def wait(space: Space, job: str, timeout: float | None, on_progress: OnStatus | None, inline: bool) -> Steps[JobStatus]:
    """Wait until a job has ended, and return its status; with ``inline``, this process does the work meanwhile.

    Raises :class:`WorkPending` after ``timeout`` seconds, :class:`NotFound` for a job that does not exist.
    """
    seconds: object = timeout
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0):
        raise InvalidInput(f"timeout must be a number of seconds, 0 or more, or None, not {show(seconds)}")
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        status = yield from look(space, job)
        if on_progress is not None:
            on_progress(status)
        if not status.active:
            return status
        if end is not None and time.monotonic() > end:
            raise WorkPending(
                f"job {job} is {status.state} after {timeout:g} s ({status.stage or 'no worker has taken it up'}): it "
                "continues while workers run; call wait() again, or check with progress()"
            )
        if inline:
            yield from notify([Reconcile(space=space.name, everything=True)])
        yield Sleep(JOB_POLL_SECONDS)


def cancel(space: Space, job: str) -> Steps[bool]:
    """Stop a job; the unfinished version of a re-embedding is deleted. False if it has ended, or can no longer be stopped.

    Raises :class:`NotFound` if it does not exist.
    """
    cancelled = yield from job_records.cancel(space, job)
    if cancelled:
        number = yield from reembed.version_of(space, job)
        if number is not None:
            yield from drop(space, number)
    return cancelled
