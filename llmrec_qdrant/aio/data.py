"""Items and events of a space."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence

from llmrec_qdrant import operations
from llmrec_qdrant.aio.connection import AsyncConnection
from llmrec_qdrant.contracts.answers import (
    Receipt,
)
from llmrec_qdrant.contracts.entities import Event, Item
from llmrec_qdrant.operations.batching import as_list
from llmrec_qdrant.operations.events import EventLike
from llmrec_qdrant.operations.items import ItemLike
from llmrec_qdrant.query.filters import FilterLike

__all__ = ["AsyncData"]


class AsyncData(AsyncConnection):
    """Methods on items and events."""

    async def upsert_items(self, items: Iterable[ItemLike], *, notify: bool = True, replace: bool = False) -> Receipt:
        """As :meth:`Recommender.upsert_items`."""
        return await self._drive(operations.items.upsert_items(await self._bound(), items, notify, replace))

    async def update_items(self, items: Iterable[ItemLike]) -> Receipt:
        """As :meth:`Recommender.update_items`."""
        return await self._drive(operations.items.update_items(await self._bound(), items))

    async def get_items(self, ids: Iterable[str]) -> list[Item]:
        """As :meth:`Recommender.get_items`."""
        return await self._drive(operations.stored.get_items(await self._bound(), as_list(ids)))

    async def iter_items(self, *, filter: FilterLike | None = None) -> AsyncIterator[Item]:
        """As :meth:`Recommender.iter_items`."""
        bound, offset = await self._bound(), None
        while True:
            page, offset = await self._drive(operations.stored.page_of_items(bound, filter, offset))
            for entry in page:
                yield entry
            if offset is None:
                return

    async def users(self) -> AsyncIterator[str]:
        """As :meth:`Recommender.users`."""
        bound, offset = await self._bound(), None
        while True:
            page, offset = await self._drive(operations.stored.page_of_users(bound, offset))
            for entry in page:
                yield entry
            if offset is None:
                return

    async def events(self, user: str, limit: int = 1_000) -> list[Event]:
        """As :meth:`Recommender.events`."""
        return await self._drive(operations.stored.events_of(await self._bound(), user, limit))

    async def track(self, events: Iterable[EventLike]) -> Receipt:
        """As :meth:`Recommender.track`."""
        return await self._drive(operations.events.track(await self._bound(), events))

    async def load_events(self, events: Sequence[Event]) -> Receipt:
        """As :meth:`Recommender.load_events`."""
        return await self._drive(operations.events.load(await self._bound(), events))

    async def delete_items(self, ids: Iterable[str]) -> int:
        """As :meth:`Recommender.delete_items`."""
        return await self._drive(operations.items.delete_items(await self._bound(), as_list(ids)))

    async def remove_events(
        self, *, ids: Iterable[str] | None = None, user: str | None = None, item: str | None = None
    ) -> int:
        """As :meth:`Recommender.remove_events`."""
        ids = None if ids is None else as_list(ids)
        return await self._drive(operations.removal.remove_events(await self._bound(), ids, user, item))

    async def forget_user(self, user: str) -> int:
        """As :meth:`Recommender.forget_user`."""
        return await self._drive(operations.removal.forget_user(await self._bound(), user))

    async def traces_of(self, user: str) -> dict[str, int]:
        """As :meth:`Recommender.traces_of`."""
        return await self._drive(operations.traces.traces_of(await self._bound(), user))
