"""Celery tasks: read the message, do the work, pass on what follows."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from llmrec_qdrant.connect import open_sync
from llmrec_qdrant.contracts.messages import MESSAGES, Message, Migrate, Reconcile
from llmrec_qdrant.errors import InvalidInput, QdrantUnavailable, SpaceNotFound
from llmrec_qdrant.settings import Settings

from .app import app
from .dispatch import Worker
from .evaluation.trial_space import running
from .storage.store import pause, spaces

__all__ = ["perform", "publish", "sweep"]


log = logging.getLogger("llmrec.worker")


MAX_RETRIES = 8
"""Retries of a task while Qdrant is away: about four minutes in all."""


@lru_cache(maxsize=1)
def client() -> Any:
    """One connection per process, opened at the first task."""
    connection = Settings(space="-").connection()
    return open_sync(connection["url"], connection["path"], connection["api_key"])


def publish(message: Message) -> None:
    """Send a message that follows from another. One that only asks for another look expires."""
    expires = 30.0 if isinstance(message, Reconcile | Migrate) else None
    app.send_task(message.task, kwargs=message.model_dump(mode="json"), queue=message.queue, expires=expires)


def perform(kind: type[Message], data: dict[str, Any]) -> None:
    """Do one message. An unreadable one, or one about a space that no longer exists, is dropped with a log line."""
    worker = Worker(client())
    try:
        message = kind(**data)
    except InvalidInput as error:
        log.error("dropped an unreadable %s: %s", kind.task, error)
        return
    try:
        following = worker.run(message)
    except SpaceNotFound as error:
        log.error("dropped %s: %s", kind.task, error)
        return
    for next_message in following:
        publish(next_message)


def _register(kind: type[Message]) -> None:
    @app.task(bind=True, name=kind.task, max_retries=MAX_RETRIES)
    def task(self: Any, **data: Any) -> None:
        try:
            perform(kind, data)
        except QdrantUnavailable as error:
            raise self.retry(exc=error, countdown=pause(self.request.retries, error, 1.0, 30.0)) from error


for _kind in MESSAGES:
    _register(_kind)


@app.task(name="llmrec.sweep", autoretry_for=(QdrantUnavailable,), retry_backoff=1, max_retries=MAX_RETRIES)
def sweep() -> None:
    """Look through every space for work whose message was lost. A trial belongs to whoever measures in it."""
    trials = running(client())
    for space in spaces(client()):
        if space.space not in trials:
            publish(Reconcile(space=space.name))
