"""Message → work. The same dispatcher serves Celery and the inline queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress

from qdrant_client import QdrantClient

from llmrec_qdrant.contracts import messages as contracts_messages
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.messages import EmbedItems, EmbedTexts, Message, RefreshUsers
from llmrec_qdrant.errors import SpaceNotFound
from llmrec_qdrant.operations.spaces import load_config
from llmrec_qdrant.operations.steps import drive
from llmrec_qdrant.operations.versions import versions
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import Space

from . import migrate
from .items import assign, collab, embed
from .reconcile import reconcile
from .storage import store
from .topics import job, record
from .users import refresh

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
        space = Space(message.space)
        match message:
            case contracts_messages.EmbedItems(ids=ids):
                return [more for at in self._versions(space) for more in self._embed_items(at, ids)]
            case contracts_messages.EmbedTexts(ids=ids):
                return [more for at in self._versions(space) for more in self._embed_texts(at, ids)]
            case contracts_messages.RefreshUsers(ids=ids):
                return [more for at in self._versions(space) for more in self._refresh(at, ids)]
            case contracts_messages.FitCollab(ids=ids):
                for at in self._versions(space):
                    with suppress(SpaceNotFound):
                        config = self._config(at)
                        collab.refit(self._client, at, config, ids) if ids else collab.fit(self._client, at, config)
            case contracts_messages.FitTopics(topics=number, resume=resume):
                return self._fit_topics(space, number, resume)
            case contracts_messages.Train():
                from .training import job as trainings  # brings torch, and most workers never train

                live = next(self._versions(space))
                trainings.work(self._client, live, self._config(live))
            case contracts_messages.Migrate():
                return migrate.advance(self._client, space)
            case contracts_messages.Reconcile(everything=everything):
                return list(reconcile(self._client, space, everything))
        return []

    def _versions(self, space: Space) -> Iterator[Space]:
        """Each version of a space; one that is dropped while it is worked on is passed over."""
        for number in drive(versions(space), self._client, NoQueue()).all:
            yield space.at(number)

    def _embed_items(self, space: Space, ids: list[str]) -> list[Message]:
        try:
            result = embed.embed(self._client, space.items, self._config(space), ids, assign.load(self._client, space))
            embed.wake_waiting(self._client, space, result.done)
            again: list[Message] = [EmbedItems(space=space.name, ids=[one]) for one in result.again]
            if not result.done or again or self._any_stale(space.items):
                return again  # users wait until the catalogue is through: one refresh each instead of many
            return [contracts_messages.Reconcile(space=space.name)] if self._any_stale(space.users) else []
        except SpaceNotFound:
            return []

    def _embed_texts(self, space: Space, ids: list[str]) -> list[Message]:
        try:
            result = embed.embed(self._client, space.texts, self._config(space), ids)
            authors = embed.mark_authors(self._client, space, result.done)
        except SpaceNotFound:
            return []
        following: list[Message] = [EmbedTexts(space=space.name, ids=[one]) for one in result.again]
        return following + ([RefreshUsers(space=space.name, ids=authors)] if authors else [])

    def _refresh(self, space: Space, ids: list[str]) -> list[Message]:
        try:
            again = refresh.refresh(self._client, space, self._config(space), ids)
        except SpaceNotFound:
            return []
        return [RefreshUsers(space=space.name, ids=[one]) for one in again]

    def _fit_topics(self, space: Space, number: int | None, resume: bool) -> list[Message]:
        """Fit the live version, then what the others lack of it; users follow, as their interests are made of topics."""
        places = list(self._versions(space))
        live = places[0]
        for at in places:
            if at != live and self._any_stale(at.items):
                continue  # still filling: it gets its topics before the switch
            with suppress(SpaceNotFound, record.Superseded):
                found = record.read(self._client, at)
                if at == live and not resume:
                    record.begin(self._client, at, number)
                elif record.lost(self._client, at):
                    record.begin(self._client, at, found.topics, again=True)
                elif found.stage == "fitting":
                    return []  # somebody is at it
                elif record.outdated(self._client, at, live):
                    record.begin(self._client, at, record.read(self._client, live).topics)
                if not job.advance(self._client, places, at, self._config(at)):
                    return [contracts_messages.FitTopics(space=space.name, resume=True)]
        return [contracts_messages.Reconcile(space=space.name, everything=True)]

    def _any_stale(self, collection: str) -> bool:
        return store.count(self._client, collection, conditions.where(conditions.stale())) > 0

    def _config(self, space: Space) -> SpaceConfig:
        return drive(load_config(space), self._client, NoQueue())
