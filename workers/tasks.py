"""Celery tasks: read a message, do its work, publish the messages that follow."""

from __future__ import annotations

import logging
import time
from functools import lru_cache
from typing import Any

from llmrec_qdrant.connect import open_sync
from llmrec_qdrant.contracts.messages import (
    MESSAGES,
    EmbedItems,
    EmbedTexts,
    FitCollab,
    Message,
    Reconcile,
    RefreshUsers,
    RunJob,
)
from llmrec_qdrant.errors import InvalidInput, QdrantUnavailable, SpaceNotFound
from llmrec_qdrant.operations.retry import pause_after
from llmrec_qdrant.settings import Settings
from llmrec_qdrant.space.layout import Space

from .app import app
from .dispatch import Worker
from .evaluation.trial_space import running
from .storage.clock import SWEEP
from .storage.notes import report_clock
from .storage.store import SpaceStore, spaces

__all__ = ["perform", "publish", "sweep"]


log = logging.getLogger("llmrec.worker")


MAX_RETRIES = 8
"""Retries of a task while Qdrant is away: about four minutes in all."""


MIN_SWEEP_PAUSE = 0.5
"""Seconds between two sweeps of one process."""
_swept_at = float("-inf")

OUTCOMES: dict[type[Message], str] = {
    EmbedItems: "encoded {count:,} item{s}",
    EmbedTexts: "encoded {count:,} text{s}",
    RefreshUsers: "refreshed {count:,} user{s}",
    FitCollab: "rebuilt the collab leg of {count:,} item{s}",
    Reconcile: "found pending work, {following:,} message{s}",
    RunJob: "handled a message about job {job}",
}
"""Log text for each kind of processed message."""


@lru_cache(maxsize=1)
def client() -> Any:
    """One connection per process, opened at the first task."""
    connection = Settings(space="-").connection()
    return open_sync(connection["url"], connection["path"], connection["api_key"])


def publish(message: Message) -> None:
    """Send a message. None expires: Celery would compare the clocks of two machines."""
    app.send_task(message.task, kwargs=message.model_dump(mode="json"), queue=message.destination())


def perform(kind: type[Message], data: dict[str, Any]) -> None:
    """Process a message; log and drop it if it is unreadable or its space no longer exists."""
    worker = Worker(client())
    try:
        message = kind(**data)
    except InvalidInput as error:
        log.error("dropped an unreadable message %s: %s", kind.task, error)
        return
    began = time.monotonic()
    try:
        following = worker.run(message)
    except SpaceNotFound as error:
        log.error("dropped message %s: %s", kind.task, error)
        return
    for next_message in following:
        publish(next_message)
    _log_outcome(message, len(following), time.monotonic() - began)
    report_clock(SpaceStore(client(), Space(message.space)))


def _log_outcome(message: Message, following: int, seconds: float) -> None:
    """Log one line per message; a sweep that found nothing is logged at debug level."""
    outcome = OUTCOMES[type(message)]
    if isinstance(message, FitCollab) and not message.ids:
        outcome = "rebuilt the collab leg of all items"
    level = logging.DEBUG if isinstance(message, Reconcile) and not following else logging.INFO
    count = len(getattr(message, "ids", ()))
    plural = "" if (following if isinstance(message, Reconcile) else count) == 1 else "s"
    log.log(
        level,
        "%s: %s in %.1f s",
        message.space,
        outcome.format(count=count, following=following, s=plural, job=getattr(message, "job", "")),
        seconds,
    )


def _register(kind: type[Message]) -> None:
    @app.task(bind=True, name=kind.task, max_retries=MAX_RETRIES)
    def task(self: Any, **data: Any) -> None:
        try:
            perform(kind, data)
        except QdrantUnavailable as error:
            seconds = pause_after(error, self.request.retries, first=1.0, longest=30.0)
            log.warning("%s; retrying %s in %.0f s", error, kind.task, seconds)
            raise self.retry(exc=error, countdown=seconds) from error


for _kind in MESSAGES:
    _register(_kind)


@app.task(name=SWEEP)
def sweep() -> None:
    """Search every space for work whose message was lost. A trial space is left to the job that measures in it.

    Sweeps pile up while no worker runs, or come from several clocks: those that follow at once are passed over. While Qdrant is
    away, a sweep does nothing: the next comes in seconds.
    """
    global _swept_at
    if time.monotonic() - _swept_at < MIN_SWEEP_PAUSE:
        return
    try:
        trials = running(client())
        for space in spaces(client()):
            if space.space not in trials:
                publish(Reconcile(space=space.name))
    except QdrantUnavailable as error:
        log.warning("%s; the next sweep tries again", error)
    _swept_at = time.monotonic()
