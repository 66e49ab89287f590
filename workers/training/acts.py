"""Events as training sees them: what was done, when, and which sources it concerns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.clock import timestamp
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point

from ..behaviour.event_weights import event_weight
from ..items.interactions import EVENT_KEYS
from ..storage.store import SpaceStore
from .catalogue import Catalogue

__all__ = ["Act", "EventTest", "act_of", "read_events"]

EventTest = Callable[[Mapping[str, Any]], bool]
"""Says of the payload of an event whether it is held out."""


@dataclass(frozen=True)
class Act:
    """One event. ``item`` and ``text`` are rows of the catalogue."""

    moment: float
    """Unix seconds."""
    weight: float
    """By type and value, before any decay."""
    rows: tuple[int, ...]
    """Its sources that have a text."""
    item: int | None
    text: int | None
    is_search: bool
    """Whether it is about no item."""


def act_of(event: Point, catalogue: Catalogue, config: SpaceConfig) -> Act:
    """An event with its sources looked up."""
    item_id = event.get(Key.ITEM_ID)
    item = catalogue.row_of_item(event.get(Key.TENANT, ""), item_id) if item_id else None
    text = catalogue.number.get(event.id)
    rows = tuple(row for row in (item, text) if row is not None and catalogue.texts[row])
    weight = event_weight(event.payload[Key.TYPE], event.get(Key.VALUE), config)
    return Act(timestamp(event.payload[Key.TS]), weight, rows, item, text, item_id is None)


def read_events(store: SpaceStore, hidden: EventTest) -> dict[tuple[str, str], list[Point]]:
    """(tenant, user) → their events that are not hidden, oldest first."""
    people: dict[tuple[str, str], list[Point]] = {}
    for page in store.events.pages(None, EVENT_KEYS):
        for event in page:
            if not hidden(event.payload):
                who = event.get(Key.TENANT, ""), event.payload[Key.USER_ID]
                people.setdefault(who, []).append(event)
    for events in people.values():
        events.sort(key=lambda event: (timestamp(event.payload[Key.TS]), event.id))
    return people
