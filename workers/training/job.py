"""A training that somebody asked for, done by whoever takes it up, and taken up again when they die.

Who is at it writes its name and the time into Qdrant every few seconds. A message for a training that has such a sign of
life is dropped: Redis hands a long task out twice. Whoever finds another's name there gives up; the state on disk is
that of the steps taken, the same whoever took them.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from qdrant_client import QdrantClient

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.jobs import TrainingJob
from llmrec_qdrant.errors import LlmrecError, QdrantUnavailable, SpaceError
from llmrec_qdrant.operations import training
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.operations.steps import drive
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.space.layout import Space

from ..encoding import registry
from ..evaluation.report import Report, no_report
from ..reconcile import somebody_trains
from ..storage import store
from .recipe import Recipe
from .trainer import train

__all__ = ["Superseded", "read", "recipe", "work"]


log = logging.getLogger("llmrec.worker")


BEAT = 5.0
"""Seconds between two signs of life."""


TRIES = 3
"""Times that it is taken up without getting further."""


class Superseded(Exception):
    """It was given up, or is somebody else's now."""


def read(client: QdrantClient, space: Space) -> TrainingJob | None:
    """The last training of a version of a space."""
    return drive(training.read(space), client, NoQueue())


def _write(client: QdrantClient, space: Space, job: TrainingJob, **changes: Any) -> TrainingJob:
    job = job.model_copy(update={**changes, "beat": now()})
    drive(training.write(space, job), client, NoQueue())
    return job


def work(
    client: QdrantClient,
    space: Space,
    config: SpaceConfig,
    tell: Report = no_report,
    take: bool = False,
) -> TrainingJob | None:
    """Do the training of this version of a space, if nobody is at it; with ``take`` even if somebody was a moment ago.

    Returns how it ended; None if there was nothing to do. What the input is to blame for ends it; after ``TRIES`` other
    failures without progress in between it ends too.
    """
    job = read(client, space)
    if job is None or not job.under_way or (somebody_trains(job) and not take):
        return None
    tries = 1 if job.steps > job.steps_before else job.tries + 1
    if tries > TRIES:
        return _write(
            client, space, job, stage="failed", reason=job.reason or f"interrupted {TRIES} times at one place"
        )
    me = uuid.uuid4().hex[:12]
    job = _write(client, space, job, stage="training", holder=me, tries=tries, steps_before=job.steps)
    try:
        with _lease(client, space, job) as lease:

            def told(what: str, done: float, total: float) -> None:
                lease.tell(what, done, total)
                tell(what, done, total)

            version = train(
                store.SpaceStore(client, space), config, recipe(job), users=job.users, exclude_seen=job.exclude_seen, split=job.split,
                until=_moment(job.asked_at),
                folder=registry.folder() / f".run-{job.run}", report=told,
            )  # fmt: skip
        return _write(client, space, lease.job, stage="done", version=version.name, offered=version.offered, holder="")
    except Superseded:
        log.info("the training of %s is somebody else's now, or was given up", space.name)
        return None
    except (QdrantUnavailable, SpaceError):
        raise
    except LlmrecError as error:
        log.error("the training of %s ends: %s", space.name, error)
        return _write(client, space, job, stage="failed", reason=str(error)[:500], holder="")
    except Exception as error:
        log.exception("the training of %s stopped", space.name)
        return _write(client, space, lease.job, reason=f"{type(error).__name__}: {error}"[:500], holder="")


def recipe(job: TrainingJob) -> Recipe:
    """How a job wants its model to learn."""
    return Recipe.of(job.method, epochs=job.epochs, seed=job.seed)


def _moment(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp() if stamp else time.time()


class _Lease:
    """Says every few seconds that somebody is at it, and notices when it is somebody else."""

    def __init__(self, client: QdrantClient, space: Space, job: TrainingJob) -> None:
        self._client, self._space, self.job = client, space, job
        self._last = time.monotonic()
        self._lost = False
        self._lock = threading.Lock()

    def tell(self, what: str, done: float, total: float) -> None:
        """Note what is being done. Raises :class:`Superseded`."""
        steps = {"steps": int(done), "total": int(total)} if "loss" in what else {}
        self.job = self.job.model_copy(update={"says": what, **steps})
        if time.monotonic() - self._last > BEAT:
            self.beat()
        if self._lost:
            raise Superseded

    def beat(self) -> None:
        """A sign of life; a Qdrant that is away for a moment is none of the training's business."""
        with self._lock:
            self._last = time.monotonic()
            try:
                found = read(self._client, self._space)
                if found is None or found.run != self.job.run or found.holder != self.job.holder:
                    self._lost = True
                else:
                    _write(self._client, self._space, self.job)
            except LlmrecError as error:
                log.warning("no sign of life from the training of %s: %s", self._space.name, error)


@contextmanager
def _lease(client: QdrantClient, space: Space, job: TrainingJob) -> Iterator[_Lease]:
    """Beats also while one step takes long; an embedded Qdrant serves one thread, which nobody else looks into."""
    lease, stop = _Lease(client, space, job), threading.Event()

    def run() -> None:
        while not stop.wait(BEAT):
            lease.beat()

    thread = threading.Thread(target=run, name="sign of life", daemon=True)
    if store.remote(client):
        thread.start()
    try:
        yield lease
    finally:
        stop.set()
        if thread.is_alive():
            thread.join()
