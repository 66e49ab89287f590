"""Copies the items, texts and events that a trial space may know, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from qdrant_client import models

from llmrec_qdrant.operations.batching import by_size
from llmrec_qdrant.space.conditions import tenant_filter
from llmrec_qdrant.space.layout import DENSE, TFIDF, Key
from llmrec_qdrant.space.points import Point, new_point

from ..items.interactions import EVENT_KEYS
from ..storage.store import SpaceStore, Store

__all__ = ["EventTest", "copy_events", "copy_texts", "event_payloads"]

EventTest = Callable[[Mapping[str, Any]], bool]
"""Takes an event's payload; returns whether to copy the event."""
ITEM_PAYLOAD = models.PayloadSelectorExclude(exclude=[Key.TEXT, Key.POPULARITY, Key.COLLAB_SINCE])
"""Payload of items without long texts, which no trial needs, and without what is fitted on events."""
VECTOR_WEIGHT = 24
"""Characters per dimension in a request."""


def event_payloads(store: SpaceStore, tenant: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the payloads of all events, or of a tenant's, as far as splits and fits need them.

    The item id is None if the item was deleted: no list can contain it.
    """
    of_tenant = tenant_filter(tenant)
    items = {
        (point.get(Key.TENANT, ""), point.payload[Key.ITEM_ID])
        for page in store.items.pages(of_tenant, [Key.TENANT, Key.ITEM_ID])
        for point in page
    }
    for page in store.events.pages(of_tenant, EVENT_KEYS):
        for event in page:
            exists = (event.get(Key.TENANT, ""), event.get(Key.ITEM_ID)) in items
            yield event.payload if exists else {**event.payload, Key.ITEM_ID: None}


Progress = Iterator[tuple[int, int]]
"""Yields (points read, points in total) after every page."""


def copy_texts(
    source: SpaceStore, copy: SpaceStore, kind: Literal["items", "texts"], size: int, *, blank: bool
) -> Progress:
    """Copy items or free texts with the vectors of their text; ``blank`` leaves out the dense vector."""
    payload, start = (ITEM_PAYLOAD, {Key.POPULARITY: 0.0}) if kind == "items" else (True, {})
    legs = (TFIDF,) if blank else (DENSE, TFIDF)

    def copied(point: Point) -> models.PointStruct:
        return new_point(point.id, {**point.payload, **start}, point.vectors)

    total, done = source.of(kind).count(), 0
    for page in source.of(kind).pages(None, payload, legs):
        _write(copy.of(kind), [copied(point) for point in page], VECTOR_WEIGHT * size)
        done += len(page)
        yield done, total


def copy_events(
    source: SpaceStore, copy: SpaceStore, wanted: EventTest, among: models.Filter | None = None
) -> Progress:
    """Copy the events that pass the test ``wanted``, out of those that match ``among``."""
    total, done = source.events.count(among), 0
    for page in source.events.pages(among):
        _write(copy.events, [new_point(event.id, event.payload) for event in page if wanted(event.payload)], 0)
        done += len(page)
        yield done, total


def _write(target: Store, points: list[models.PointStruct], weight: int) -> None:
    """Upsert in requests small enough for Qdrant; ``weight`` is the characters per point besides its text."""
    for part in by_size(points, lambda point: weight + len((point.payload or {}).get(Key.TEXT) or "")):
        target.upsert(part)
