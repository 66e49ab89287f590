"""Items and events of a space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmrec_qdrant import operations
from llmrec_qdrant.contracts.answers import (
    Receipt,
)
from llmrec_qdrant.contracts.entities import Event
from llmrec_qdrant.operations.batching import as_list
from llmrec_qdrant.operations.events import EventLike
from llmrec_qdrant.operations.items import ItemLike
from llmrec_qdrant.recommender.connection import Connection

__all__ = ["Data"]


class Data(Connection):
    """Methods on items and events."""

    def upsert_items(self, items: Iterable[ItemLike], *, notify: bool = True) -> Receipt:
        """Store items; they are durable when this returns, and workers add their vectors later.

        ``notify=False`` sends no message to the workers: the next :meth:`reconcile` finds the items.
        Raises :class:`PartlyRejected` if some items were refused; the others are stored.
        """
        return self._drive(operations.items.upsert_items(self._bound(), items, notify))

    def track(self, events: Iterable[EventLike]) -> Receipt:
        """Store events; they are durable when this returns, and workers update the users' vectors later.

        Raises :class:`PartlyRejected` if some events were refused; the others are stored.
        """
        return self._drive(operations.events.track(self._bound(), events))

    def load_events(self, events: Sequence[Event]) -> Receipt:
        """As :meth:`track`, for bulk loads: sends no messages; call :meth:`reconcile` at the end to refresh each user once."""
        return self._drive(operations.events.store_events(self._bound(), events))[0]

    def delete_items(self, ids: Iterable[str]) -> int:
        """Delete items; returns how many existed. Events about them stay."""
        return self._drive(operations.items.delete_items(self._bound(), as_list(ids)))

    def forget_user(self, user: str) -> int:
        """Delete a user with all events and texts; returns the number of events."""
        return self._drive(operations.events.forget_user(self._bound(), user))
