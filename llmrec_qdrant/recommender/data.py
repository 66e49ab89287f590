"""Items and events of a space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from llmrec_qdrant import operations
from llmrec_qdrant.contracts.answers import (
    Receipt,
)
from llmrec_qdrant.contracts.entities import Event, Item
from llmrec_qdrant.operations.batching import as_list
from llmrec_qdrant.operations.events import EventLike
from llmrec_qdrant.operations.items import ItemLike
from llmrec_qdrant.query.filters import FilterLike
from llmrec_qdrant.recommender.connection import Connection

__all__ = ["Data"]


class Data(Connection):
    """Methods on items and events."""

    def upsert_items(self, items: Iterable[ItemLike], *, notify: bool = True, replace: bool = False) -> Receipt:
        """Store items; they are durable when this returns, and workers add their vectors later.

        Of a stored item, title, text and own fields that are not passed keep their values; ``replace=True`` drops them.
        ``notify=False`` sends no message to the workers: the next :meth:`reconcile` finds the items.
        Raises :class:`PartlyRejected` if some items were refused; the others are stored.
        """
        return self._drive(operations.items.upsert_items(self._bound(), items, notify, replace))

    def update_items(self, items: Iterable[ItemLike]) -> Receipt:
        """Change own fields of stored items, such as a price, without encoding anything again; other fields keep their values.

        Raises :class:`PartlyRejected` for unknown items and for items with a title or text; the others are changed.
        """
        return self._drive(operations.items.update_items(self._bound(), items))

    def get_items(self, ids: Iterable[str]) -> list[Item]:
        """Return stored items in the order of ``ids``; unknown ids are left out."""
        return self._drive(operations.stored.get_items(self._bound(), as_list(ids)))

    def iter_items(self, *, filter: FilterLike | None = None) -> Iterator[Item]:
        """Iterate over all stored items, or those that match ``filter``, in no particular order."""
        bound, offset = self._bound(), None
        while True:
            page, offset = self._drive(operations.stored.page_of_items(bound, filter, offset))
            yield from page
            if offset is None:
                return

    def users(self) -> Iterator[str]:
        """Iterate over the ids of all users, in no particular order."""
        bound, offset = self._bound(), None
        while True:
            page, offset = self._drive(operations.stored.page_of_users(bound, offset))
            yield from page
            if offset is None:
                return

    def events(self, user: str, limit: int = 1_000) -> list[Event]:
        """Return the latest events of a user, newest first; ``limit`` is at most 10,000."""
        return self._drive(operations.stored.events_of(self._bound(), user, limit))

    def track(self, events: Iterable[EventLike]) -> Receipt:
        """Store events; they are durable when this returns, and workers update the users' vectors later.

        Raises :class:`PartlyRejected` if some events were refused; the others are stored.
        """
        return self._drive(operations.events.track(self._bound(), events))

    def load_events(self, events: Sequence[Event]) -> Receipt:
        """As :meth:`track`, for bulk loads: sends no messages; call :meth:`reconcile` at the end to refresh each user once."""
        return self._drive(operations.events.load(self._bound(), events))

    def delete_items(self, ids: Iterable[str]) -> int:
        """Delete items; returns how many existed. Events about them stay."""
        return self._drive(operations.items.delete_items(self._bound(), as_list(ids)))

    def remove_events(
        self, *, ids: Iterable[str] | None = None, user: str | None = None, item: str | None = None
    ) -> int:
        """Undo events: those with these ids, of this user and about this item; returns how many existed.

        Gone with their texts when this returns; the users' vectors, seen items and interests and the collab leg follow as
        after :meth:`track`. An event that is stored again, for example from the same file, counts again. Raises
        :class:`InvalidInput` if nothing is selected.
        """
        ids = None if ids is None else as_list(ids)
        return self._drive(operations.removal.remove_events(self._bound(), ids, user, item))

    def forget_user(self, user: str) -> int:
        """Delete a user with all events, searches and other texts; returns the number of events."""
        return self._drive(operations.removal.forget_user(self._bound(), user))

    def traces_of(self, user: str) -> dict[str, int]:
        """Read every point of every collection, and return collection → points that belong to a user: proof of forgetting."""
        return self._drive(operations.traces.traces_of(self._bound(), user))
