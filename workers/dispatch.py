"""Message → work. The same dispatcher serves Celery and the inline queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import suppress

from qdrant_client import QdrantClient

from llmrec_qdrant.contracts.messages import (
    EmbedItems,
    EmbedTexts,
    FitCollab,
    FitTopics,
    Message,
    Migrate,
    Reconcile,
    RefreshUsers,
    Train,
)
from llmrec_qdrant.errors import SpaceNotFound
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import Space

from . import migrate
from .items import assign, collab
from .items.embed import embed
from .items.followers import mark_authors, wake_waiting
from .reconcile import reconcile
from .storage.store import SpaceStore, Store
from .topics import job, record
from .users.refresh import refresh

__all__ = ["Worker"]


class Worker:
    """Does the work of messages on one Qdrant."""

    def __init__(self, client: QdrantClient) -> None:
        self._client = client

    def drain(self, messages: Iterable[Message]) -> None:
        """Do these messages and all that follow from them, first come, first served."""
        queue = deque(messages)
        while queue:
            queue.extend(self.run(queue.popleft()))

    def run(self, message: Message) -> list[Message]:
        """Do one message; returns the messages that follow from it. Doing it twice changes nothing."""
        space = SpaceStore(self._client, Space(message.space))
        match message:
            case EmbedItems() | EmbedTexts() | RefreshUsers() | FitCollab():
                return [following for version in space.versions() for following in _points(version, message)]
            case FitTopics(topics=number, resume=resume):
                return _fit_topics(space, number, resume)
            case Train():
                _train(space)
            case Migrate():
                return migrate.advance(self._client, space.space)
            case Reconcile(everything=everything):
                return list(reconcile(space, everything))
        return []


def _points(space: SpaceStore, message: Message) -> list[Message]:
    """Work on points of one version of a space; a version that is dropped meanwhile is passed over."""
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
    outcome = embed(space.items, space.config(), ids, assign.load(space))
    wake_waiting(space, outcome.done)
    again: list[Message] = [EmbedItems(space=space.name, ids=[item]) for item in outcome.again]
    if not outcome.done or again or _any_stale(space.items):
        return again  # users wait until the catalogue is through: one refresh each instead of many
    return [Reconcile(space=space.name)] if _any_stale(space.users) else []


def _embed_texts(space: SpaceStore, ids: list[str]) -> list[Message]:
    outcome = embed(space.texts, space.config(), ids)
    authors = mark_authors(space, outcome.done)
    again: list[Message] = [EmbedTexts(space=space.name, ids=[text]) for text in outcome.again]
    return [*again, RefreshUsers(space=space.name, ids=authors)] if authors else again


def _fit_topics(space: SpaceStore, number: int | None, resume: bool) -> list[Message]:
    """Fit the live version, then what the others lack of it; users follow, as their interests are made of topics."""
    versions = space.versions()
    client, places = space.client, [version.space for version in versions]
    live = places[0]
    for version in versions:
        at = version.space
        if at != live and _any_stale(version.items):
            continue  # still filling: it gets its topics before the switch
        with suppress(SpaceNotFound, record.Superseded):
            run = record.read(client, at)
            if at == live and not resume:
                record.begin(client, at, number)
            elif record.lost(client, at):
                record.begin(client, at, run.topics, again=True)
            elif run.stage == "fitting":
                return []  # another worker is fitting
            elif record.outdated(client, at, live):
                record.begin(client, at, record.read(client, live).topics)
            if not job.advance(client, places, at, version.config()):
                return [FitTopics(space=space.name, resume=True)]
    return [Reconcile(space=space.name, everything=True)]


def _train(space: SpaceStore) -> None:
    from .training import job as trainings  # loads torch, which most workers never need

    live = space.versions()[0]
    trainings.work(live.client, live.space, live.config())


def _any_stale(store: Store) -> bool:
    return store.count(conditions.where(conditions.stale())) > 0
