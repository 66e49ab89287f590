"""Reads the items and texts that events are about, each once per message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.space.layout import DENSE, TFIDF, Key
from llmrec_qdrant.space.points import Point

from ..behaviour.event_weights import item_point
from ..items.embed import embed
from ..storage.store import SpaceStore, Store

__all__ = ["Library"]

POINTS_PER_READ = 256
"""Points with vectors per request."""


class Library:
    """Item and text points of a space with their vectors, titles, words and topics."""

    def __init__(self, space: SpaceStore, config: SpaceConfig) -> None:
        self._space, self._config = space, config
        self._items: dict[str, Point] = {}
        self._titles: dict[str, Point] = {}
        """Items that were read without their vectors."""
        self._texts: dict[str, Point] = {}

    def load_titles(self, events: Sequence[Point]) -> None:
        """Read the items of these events without vectors, as far as they are not read yet."""
        items = dict.fromkeys(item_point(event) for event in events if event.get(Key.ITEM_ID))
        missing = (point for point in items if point not in self._items and point not in self._titles)
        self._titles |= _read(self._space.items, missing, [])

    def load(self, events: Sequence[Point]) -> None:
        """Read the items and texts of these events. Texts without a vector are encoded first."""
        items = dict.fromkeys(item_point(event) for event in events if event.get(Key.ITEM_ID))
        self._items |= _read(self._space.items, [point for point in items if point not in self._items])
        texts = [event.id for event in events if event.get(Key.TEXT)]
        if texts:
            embed(self._space.texts, self._config, texts)
        self._texts |= _read(self._space.texts, texts)

    def item(self, event: Point) -> Point | None:
        """Return the item of an event; None if it has none, or the item is not in the catalogue."""
        if not event.get(Key.ITEM_ID):
            return None
        point = item_point(event)
        return self._items.get(point) or self._titles.get(point)

    def title(self, event: Point) -> str:
        """Return the title of an event's item; empty without one."""
        item = self.item(event)
        return str(item.get(Key.TITLE, "")) if item else ""

    def text(self, event: Point) -> Point | None:
        """Return the text point of an event; None if it has none."""
        return self._texts.get(event.id)


def _read(store: Store, ids: Iterable[str], vectors: Sequence[str] = (DENSE, TFIDF)) -> dict[str, Point]:
    wanted = [Key.TITLE, Key.TERMS, Key.LEGS, Key.TOPIC_IDS]
    pages = (store.retrieve(batch, wanted, vectors or False) for batch in batches(ids, POINTS_PER_READ))
    return {point.id: point for page in pages for point in page}
