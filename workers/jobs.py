"""Runs a job: takes its lease, calls the handler of its kind, and records the outcome."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from llmrec_qdrant.contracts.jobs import JobKind
from llmrec_qdrant.contracts.messages import Message, RunJob
from llmrec_qdrant.errors import LlmrecError, QdrantUnavailable, SpaceNotFound
from llmrec_qdrant.queues.base import OnProgress

from .storage.lease import Done, JobLost, Lease, Outcome, WatcherFailed, take
from .storage.store import SpaceStore

__all__ = ["Handler", "handler", "run_job"]

log = logging.getLogger("llmrec.worker")

Handler = Callable[[Lease, SpaceStore], Outcome]
"""Runs a job, or a slice of it, under its lease."""


def handler(kind: JobKind) -> Handler:
    """Return the handler of a kind of job. Imports it on demand: training needs torch, and most workers never train."""
    if kind == "train":
        from .training.job import train_model as handle
    elif kind == "tune":
        from .evaluation.job import tune_settings as handle
    elif kind == "fit-topics":
        from .topics.job import fit_topics as handle
    elif kind == "generate":
        from .generate.job import generate_texts as handle
    else:
        from .reembed import reembed as handle
    return handle


def run_job(store: SpaceStore, job: str, on_progress: OnProgress | None = None) -> list[Message]:
    """Run a job unless another worker is running it; returns the messages that follow.

    An error of this package fails the job; any other error counts as a failed attempt. Raises
    :class:`QdrantUnavailable` and :class:`SpaceNotFound`: the job resumes when Qdrant is back. An error raised by
    ``on_progress`` reaches the caller.
    """
    lease = take(store, job, on_progress)
    if lease is None:
        return []
    try:
        return _run(lease, store)
    except JobLost:
        log.info("job %s of %s was cancelled, or another worker has taken it over", job, store.name)
        return []


def _run(lease: Lease, store: SpaceStore) -> list[Message]:
    try:
        with lease.beating():
            outcome = handler(lease.record.kind)(lease, store)
    except JobLost:
        raise
    except WatcherFailed as error:
        with suppress(LlmrecError, JobLost):
            lease.release("interrupted by the caller's on_progress")
        raise (error.__cause__ or error) from None
    except (KeyboardInterrupt, SystemExit):
        with suppress(LlmrecError, JobLost):
            lease.release("interrupted")
        raise
    except (QdrantUnavailable, SpaceNotFound) as error:
        with suppress(LlmrecError):  # Qdrant may still be away; then the lease expires
            lease.release(str(error))
        raise
    except LlmrecError as error:
        log.error("job %s of %s failed: %s", lease.id, store.name, error, extra={"job_failed": True})
        lease.fail(str(error))
        return []
    except Exception as error:
        log.exception("job %s of %s raised an error and will be tried again", lease.id, store.name)
        lease.release(f"{type(error).__name__}: {error}", forgiven=False)
        return []
    return _conclude(lease, store, outcome)


def _conclude(lease: Lease, store: SpaceStore, outcome: Outcome) -> list[Message]:
    if isinstance(outcome, Done):
        lease.finish(outcome.result)
        return list(outcome.messages)
    lease.release()
    again = [RunJob(space=store.name, job=lease.id)] if outcome.at_once else []
    return [*outcome.messages, *again]
