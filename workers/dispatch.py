"""Routes messages to the code that does their work. The same dispatcher serves Celery and the inline queue."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress

from qdrant_client import QdrantClient

from llmrec_qdrant.contracts.messages import (
    EmbedItems,
    EmbedTexts,
    FitCollab,
    Message,
    Reconcile,
    RefreshUsers,
    RunJob,
)
from llmrec_qdrant.errors import LlmrecError, QdrantUnavailable, SpaceMismatch, SpaceNotFound
from llmrec_qdrant.queues.base import OnProgress
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import Key, Space
from llmrec_qdrant.space.points import Point

from .items import assign, boilerplate, collab
from .items.embed import embed
from .items.followers import mark_authors, wake_waiting
from .jobs import run_job
from .reconcile import reconcile
from .storage.notes import in_words
from .storage.store import SpaceStore, Store
from .users.refresh import refresh

__all__ = ["Worker"]

log = logging.getLogger("llmrec.worker")

STAGES: dict[type[Message], str] = {
    EmbedItems: "encoding items",
    EmbedTexts: "encoding texts",
    RefreshUsers: "refreshing users",
    FitCollab: "rebuilding the collab leg",
}
"""Stage that is reported while a message is processed."""
MESSAGES_AT_ONCE = 2
"""Messages of texts processed at the same time: the texts of one are encoded while the other is read or written."""


class Worker:
    """Processes messages on one Qdrant."""

    def __init__(self, client: QdrantClient) -> None:
        self._client = client

    def drain(self, messages: Iterable[Message], on_progress: OnProgress | None = None) -> None:
        """Process these messages and all messages that follow from them, in order of arrival.

        Up to ``MESSAGES_AT_ONCE`` neighbours that encode texts are processed at once; any other message waits for them. A fault of
        this package in one message stops no other, and is raised at the end.
        """
        queue, running, done = deque(messages), dict[Future[list[Message]], Message](), 0
        faults: list[Exception] = []
        with ThreadPoolExecutor(MESSAGES_AT_ONCE, thread_name_prefix="drain") as threads:
            while queue or running:
                while queue and len(running) < MESSAGES_AT_ONCE and _encodes(queue[0]):
                    message = queue.popleft()
                    running[threads.submit(self._attempt, message, None, faults)] = message
                following, ended = _next_ended(running) if running else self._run_first(queue, on_progress, faults)
                queue.extend(following)
                done += _size(ended)
                if on_progress is not None and _size(ended):
                    left = sum(map(_size, [*queue, *running.values()]))
                    on_progress(STAGES[type(ended)], done, done + left)

        if faults:
            raise faults[0]

    def _run_first(
        self, queue: deque[Message], on_progress: OnProgress | None, faults: list[Exception]
    ) -> tuple[list[Message], Message]:
        message = queue.popleft()
        return self._attempt(message, on_progress, faults), message

    def _attempt(self, message: Message, on_progress: OnProgress | None, faults: list[Exception]) -> list[Message]:
        """Process a message; an error that is none of this package's is added to ``faults``, unless the caller may have raised it."""
        try:
            return self.run(message, on_progress)
        except Exception as error:
            if isinstance(error, LlmrecError) or type(message) not in STAGES:
                raise
            log.exception("%s of %s failed", STAGES[type(message)], message.space)
            faults.append(error)
            return []

    def run(self, message: Message, on_progress: OnProgress | None = None) -> list[Message]:
        """Process a message; returns the messages that follow from it. Idempotent."""
        space = SpaceStore(self._client, Space(message.space))
        match message:
            case EmbedItems() | EmbedTexts() | RefreshUsers() | FitCollab():
                return _on_every_version(space.versions(), message)
            case RunJob(job=job):
                return run_job(space, job, on_progress)
            case Reconcile(everything=everything):
                return list(reconcile(space, everything))
        return []


def _on_every_version(versions: Sequence[SpaceStore], message: Message) -> list[Message]:
    """Process the points of each version; one that fails stops no other, and its error is raised at the end.

    Of a version that is not live, unreadable metadata is logged only: a later release may be filling it.
    """
    following: list[Message] = []
    errors: list[Exception] = []
    for version in versions:
        try:
            following += _points(version, message)
        except QdrantUnavailable:
            raise
        except Exception as error:
            log.error("%s of %s: %s", STAGES[type(message)], version.label, in_words(error))
            if version is versions[0] or not isinstance(error, SpaceMismatch):
                errors.append(error)
    if errors:
        raise errors[0]
    return following


def _points(space: SpaceStore, message: Message) -> list[Message]:
    """Process the points of one version of a space; skip a version that is dropped meanwhile."""
    with suppress(SpaceNotFound):
        match message:
            case EmbedItems(ids=ids):
                return _embed_items(space, ids)
            case EmbedTexts(ids=ids):
                return _embed_texts(space, ids)
            case RefreshUsers(ids=ids):
                again = refresh(space, space.config(), ids)
                return [RefreshUsers(space=space.name, ids=[user]) for user in again]
            case FitCollab(ids=ids) if ids:
                collab.refit(space, space.config(), ids)
            case FitCollab():
                collab.fit(space, space.config())
    return []


def _embed_items(space: SpaceStore, ids: list[str]) -> list[Message]:
    left_out = boilerplate.load(space)
    outcome = embed(space.items, space.config(), ids, assign.load(space), left_out)
    wake_waiting(space, outcome.done)
    again: list[Message] = [EmbedItems(space=space.name, ids=[item]) for item in outcome.again]
    if outcome.done and boilerplate.load(space) != left_out:  # detected meanwhile
        again += _encode_again(space, outcome.done)
    if not outcome.done or again or _any_stale(space.items):
        return again  # users wait for the whole catalogue: one refresh each instead of many
    return [Reconcile(space=space.name)] if boilerplate.due(space) or _any_stale(space.users) else []


def _encode_again(space: SpaceStore, items: Sequence[Point]) -> list[Message]:
    ids = [item.id for item in items]
    space.items.set_payload({Key.STALE: True}, conditions.only(*ids))
    return [EmbedItems(space=space.name, ids=ids)]


def _embed_texts(space: SpaceStore, ids: list[str]) -> list[Message]:
    outcome = embed(space.texts, space.config(), ids)
    authors = mark_authors(space, outcome.done)
    again: list[Message] = [EmbedTexts(space=space.name, ids=[text]) for text in outcome.again]
    return [*again, RefreshUsers(space=space.name, ids=authors)] if authors else again


def _any_stale(store: Store) -> bool:
    return store.count(conditions.where(conditions.stale())) > 0


def _encodes(message: Message) -> bool:
    """Whether the message may be processed beside another of its kind: it only encodes texts."""
    return isinstance(message, EmbedItems | EmbedTexts)


def _next_ended(running: dict[Future[list[Message]], Message]) -> tuple[list[Message], Message]:
    """Wait for one of the running messages; returns the messages that follow from it, and itself. Raises its error."""
    ended = next(iter(wait(running, return_when=FIRST_COMPLETED).done))
    message = running.pop(ended)
    return ended.result(), message


def _size(message: Message) -> int:
    """Return the number of points that a message names."""
    return len(getattr(message, "ids", ()))
