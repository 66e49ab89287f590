"""Items and events of a space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmrec_qdrant import operations
from llmrec_qdrant.aio.connection import AsyncConnection
from llmrec_qdrant.contracts.answers import (
    Receipt,
)
from llmrec_qdrant.contracts.entities import Event
from llmrec_qdrant.operations.batching import as_list
from llmrec_qdrant.operations.events import EventLike
from llmrec_qdrant.operations.items import ItemLike

__all__ = ["AsyncData"]


class AsyncData(AsyncConnection):
    """Methods on items and events."""

    async def upsert_items(self, items: Iterable[ItemLike], *, notify: bool = True) -> Receipt:
        """As :meth:`Recommender.upsert_items`."""
        return await self._drive(operations.items.upsert_items(await self._bound(), items, notify))

    async def track(self, events: Iterable[EventLike]) -> Receipt:
        """As :meth:`Recommender.track`."""
        return await self._drive(operations.events.track(await self._bound(), events))

    async def load_events(self, events: Sequence[Event]) -> Receipt:
        """As :meth:`Recommender.load_events`."""
        return (await self._drive(operations.events.store_events(await self._bound(), events)))[0]

    async def delete_items(self, ids: Iterable[str]) -> int:
        """As :meth:`Recommender.delete_items`."""
        return await self._drive(operations.items.delete_items(await self._bound(), as_list(ids)))

    async def forget_user(self, user: str) -> int:
        """As :meth:`Recommender.forget_user`."""
        return await self._drive(operations.events.forget_user(await self._bound(), user))
