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
from .reconcile import spaces
from .storage.store import pause

__all__ = ["perform", "publish", "sweep"]


log = logging.getLogger("llmrec.worker")


RETRIES = 8
"""Times a task is tried again while Qdrant is away: about four minutes in all."""


@lru_cache(maxsize=1)
def client() -> Any:
    """One connection per process, opened at the first task."""
    connection = Settings(space="-").connection()
    return open_sync(connection["url"], connection["path"], connection["api_key"])


def publish(message: Message) -> None:
    """Send a message that follows from another. One that only asks to look again is worth nothing later."""
    expires = 30.0 if isinstance(message, Reconcile | Migrate) else None
    app.send_task(message.task, kwargs=message.model_dump(mode="json"), queue=message.queue, expires=expires)


def perform(kind: type[Message], data: dict[str, Any]) -> None:
    """Do one message. What cannot be read, or is about a space that is gone, is dropped with a log line."""
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
    for one in following:
        publish(one)


def _register(kind: type[Message]) -> None:
    @app.task(bind=True, name=kind.task, max_retries=RETRIES)
    def task(self: Any, **data: Any) -> None:
        try:
            perform(kind, data)
        except QdrantUnavailable as error:
            raise self.retry(exc=error, countdown=pause(self.request.retries, error, 1.0, 30.0)) from error


for _kind in MESSAGES:
    _register(_kind)


@app.task(name="llmrec.sweep", autoretry_for=(QdrantUnavailable,), retry_backoff=1, max_retries=RETRIES)
def sweep() -> None:
    """Reconcile every space: finds work whose message was lost. Trials are the business of who measures."""
    found = spaces(client())
    for space in sorted(set(found) - running(client()), key=lambda one: one.name):
        publish(Reconcile(space=space.name))
