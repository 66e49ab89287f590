"""Reads stored events as interactions: which user took which item, in order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.clock import timestamp
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point

from ..behaviour.cooccurrence import Interactions
from ..behaviour.event_weights import event_weight
from ..storage.store import SpaceStore

__all__ = ["EVENT_KEYS", "collect", "read_interactions", "says_taken"]

EVENT_KEYS = (Key.USER_ID, Key.ITEM_ID, Key.TENANT, Key.TS, Key.TYPE, Key.VALUE)
"""Payload keys that an interaction is derived from."""

_ROW = np.dtype([("user", "i4"), ("item", "i4"), ("ts", "f8")])


def read_interactions(space: SpaceStore, config: SpaceConfig) -> Interactions:
    """Read all positive events about items."""
    return collect(space.events.pages(None, EVENT_KEYS), config)


def collect(pages: Iterable[Sequence[Point]], config: SpaceConfig) -> Interactions:
    """Collect the positive events about items from pages of events; each takes 16 bytes, besides the table of ids."""
    users: dict[tuple[str, str], int] = {}
    items: dict[tuple[str, str], int] = {}
    columns: list[np.ndarray] = []
    n_events = 0
    for page in pages:
        n_events += len(page)
        columns.append(np.array(list(_rows(page, config, users, items)), dtype=_ROW))
    table = np.concatenate(columns) if columns else np.empty(0, dtype=_ROW)
    columns.clear()  # half of the memory, before the sort copies the rest
    table = table[np.lexsort((table["ts"], table["user"]))]
    return Interactions(table["user"].copy(), table["item"].copy(), list(items), n_events, list(users))


def _rows(
    page: Sequence[Point], config: SpaceConfig, users: dict[tuple[str, str], int], items: dict[tuple[str, str], int]
) -> Iterator[tuple[int, int, float]]:
    """Yield (user number, item number, Unix seconds) of each positive event; numbers new users and items."""
    for event in page:
        if says_taken(event, config):
            tenant = event.get(Key.TENANT, "")
            user = users.setdefault((tenant, event.payload[Key.USER_ID]), len(users))
            item = items.setdefault((tenant, event.payload[Key.ITEM_ID]), len(items))
            yield user, item, timestamp(event.payload[Key.TS])


def says_taken(event: Point, config: SpaceConfig) -> bool:
    """Whether the event means that its user took an item."""
    return bool(event.get(Key.ITEM_ID)) and event_weight(event.payload[Key.TYPE], event.get(Key.VALUE), config) > 0
