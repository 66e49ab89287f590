"""Message → work. The same dispatcher serves Celery and the inline queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from qdrant_client import QdrantClient

from llmrec_qdrant import contracts, layout
from llmrec_qdrant.contracts import Message, SpaceConfig
from llmrec_qdrant.layout import Space
from llmrec_qdrant.translate import translated
from workers import collab, embed, profiles, store
from workers.reconcile import reconcile

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
            case contracts.EmbedItems(ids=ids):
                return self._embed_items(space, ids)
            case contracts.EmbedTexts(ids=ids):
                embed.embed(self._client, space.texts, self._config(space), ids)
            case contracts.RefreshUsers(ids=ids):
                profiles.refresh(self._client, space, self._config(space), ids)
            case contracts.FitCollab():
                collab.fit(self._client, space, self._config(space))
            case contracts.Reconcile():
                return list(reconcile(self._client, space))
        return []

    def _embed_items(self, space: Space, ids: list[str]) -> list[Message]:
        done = embed.embed(self._client, space.items, self._config(space), ids)
        embed.wake_waiting(self._client, space, done)
        if not done or store.count(self._client, space.items, store.where(store.stale())):
            return []  # users wait until the catalogue is through: one refresh each instead of many
        if not store.count(self._client, space.users, store.where(store.stale())):
            return []
        return [contracts.Reconcile(space=space.name)]

    def _config(self, space: Space) -> SpaceConfig:
        with translated():
            found = self._client.get_collection(space.items)
        return layout.read_metadata(space, found.config.metadata)
