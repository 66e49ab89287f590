"""Reads events in the form that training needs: time, weight and the sources they concern."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.clock import timestamp
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point

from ..behaviour.event_weights import event_weight
from ..items.interactions import EVENT_KEYS, MAX_EVENTS, standing_events
from ..storage.store import SpaceStore
from .catalogue import Catalogue

__all__ = ["Act", "EventTest", "act_of", "read_events"]

EventTest = Callable[[Mapping[str, Any]], bool]
"""Takes an event's payload; returns whether the event is held out."""


@dataclass(frozen=True)
class Act:
    """An event. ``item`` and ``text`` are rows of the catalogue, or None."""

    moment: float
    """Unix seconds."""
    weight: float
    """Weight by type and value, before any decay."""
    rows: tuple[int, ...]
    """Rows of its sources with a text."""
    item: int | None
    text: int | None
    is_search: bool
    """Whether it is about no item."""


def act_of(event: Point, catalogue: Catalogue, config: SpaceConfig) -> Act:
    """Return an event with its sources looked up in the catalogue."""
    item_id = event.get(Key.ITEM_ID)
    item = catalogue.row_of_item(event.get(Key.TENANT, ""), item_id) if item_id else None
    text = catalogue.number.get(event.id)
    rows = tuple(row for row in (item, text) if row is not None and catalogue.texts[row])
    weight = event_weight(event.payload[Key.TYPE], event.get(Key.VALUE), config)
    return Act(timestamp(event.payload[Key.TS]), weight, rows, item, text, item_id is None)


def read_events(store: SpaceStore, config: SpaceConfig, hidden: EventTest) -> dict[tuple[str, str], list[Point]]:
    """Read the events that are not hidden; returns (tenant, user) → events that stand, oldest first.

    An account has one voice: its ``MAX_EVENTS`` latest events.
    """
    histories: dict[tuple[str, str], list[Point]] = {}
    for page in store.events.pages(None, EVENT_KEYS):
        for event in page:
            if not hidden(event.payload):
                who = event.get(Key.TENANT, ""), event.payload[Key.USER_ID]
                histories.setdefault(who, []).append(event)
    for events in histories.values():
        events.sort(key=lambda event: (timestamp(event.payload[Key.TS]), event.id))
    return {who: standing_events(events[-MAX_EVENTS:], config) for who, events in histories.items()}
