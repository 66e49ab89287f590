"""Starts jobs and watches them with a progress bar, in this process or at the workers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from llmrec_qdrant import Job
from llmrec_qdrant.cli.app import Connected
from llmrec_qdrant.cli.job_table import print_jobs
from llmrec_qdrant.cli.printing import print_json, say, warn
from llmrec_qdrant.cli.progress import Update, bar
from llmrec_qdrant.contracts.jobs import JobStatus
from llmrec_qdrant.errors import JobFailed, MissingDependency
from llmrec_qdrant.queues.inline import inline_available
from llmrec_qdrant.queues.none import NO_WORKERS
from llmrec_qdrant.recommender import Recommender

__all__ = ["NO_WORKER", "NO_WORKER_SECONDS", "nobody_works", "report", "run_job", "watch_here", "watch_job"]


NO_WORKER_SECONDS = 10.0
"""Seconds without progress after which no worker seems to be running."""

NO_WORKER = "no worker has taken this up: start one with `llmrec worker`; Ctrl-C stops only the watching"


@contextmanager
def watch_here(rec: Recommender, label: str, quiet: bool) -> Iterator[None]:
    """Within the block, show the progress of the work that this process does."""
    with bar(label, None, quiet=quiet) as update, rec.watch(lambda stage, done, total: update(done, total, stage)):
        yield


@contextmanager
def _failures_reported_once() -> Iterator[None]:
    """Keep the log entry of a failed job off the terminal: the command prints the same reason."""
    log = logging.getLogger("llmrec.worker")

    def is_news(record: logging.LogRecord) -> bool:
        return not getattr(record, "job_failed", False)

    log.addFilter(is_news)
    try:
        yield
    finally:
        log.removeFilter(is_news)


def run_job(context: Connected, rec: Recommender, label: str, start: Callable[[], Job], wait: bool) -> JobStatus:
    """Start a job and watch it to its end; without ``wait`` return at once, unless this process does the work.

    Raises :class:`MissingDependency` with ``wait`` if nobody can do it: no broker is set, and no workers are installed here.
    """
    if wait and nobody_works(context):
        raise MissingDependency(NO_WORKERS)
    with watch_here(rec, label, context.json), _failures_reported_once():
        job = start()
    return watch_job(job, label, context.json) if wait else job.progress()


def nobody_works(context: Connected) -> bool:
    """Whether neither this process nor a worker that it could ask does the work."""
    return not context.has_broker and not inline_available()


def watch_job(job: Job, label: str, quiet: bool) -> JobStatus:
    """Watch a job to its end; Ctrl-C stops the watching, not the job."""
    with bar(label, None, quiet=quiet) as update, _failures_reported_once():
        return job.wait(on_progress=_Watcher(update))


def report(context: Connected, status: JobStatus, show: Callable[[dict[str, Any]], None], **more: Any) -> None:
    """Print the result of a job with ``show``, or how to watch the job. ``more`` is added to the JSON document.

    Raises :class:`JobFailed` if it failed or was cancelled.
    """
    ended_badly = status.state in {"failed", "cancelled"}
    if context.json:
        print_json({**status.model_dump(mode="json"), **more})
        if ended_badly:
            raise typer.Exit(1)
    elif ended_badly:
        verb = "failed" if status.state == "failed" else "was cancelled"
        raise JobFailed(f"{status.id} {verb}: {status.reason}".removesuffix(": "))
    elif status.result is not None:
        show(status.result)
    else:
        print_jobs([status], f"job of {context.space}")
        say(f"watch it: llmrec jobs {status.id}")


class _Watcher:
    """Updates the bar, and warns once if no worker seems to be running."""

    def __init__(self, update: Update) -> None:
        self._update, self._since, self._warned = update, time.monotonic(), False

    def __call__(self, status: JobStatus) -> None:
        """Show one status."""
        self._update(status.done, status.total, " ".join(filter(None, (status.stage or status.state, status.note))))
        waited = time.monotonic() - self._since
        if status.state == "waiting" and waited > NO_WORKER_SECONDS and not self._warned:
            self._warned = True
            warn(NO_WORKER)
