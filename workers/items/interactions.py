"""Reads stored events as interactions: which user took which item, in order of time.

The latest opinion on an item counts, and an account has one voice: its ``MAX_EVENTS`` latest events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.entities import GIVEN_BACK
from llmrec_qdrant.operations.clock import timestamp
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point

from ..behaviour.cooccurrence import Interactions
from ..behaviour.event_weights import OPINIONS, UNDOES, event_weight, is_opinion, standing
from ..storage.store import SpaceStore

__all__ = [
    "EVENT_KEYS",
    "MAX_EVENTS",
    "collect",
    "read_interactions",
    "standing_events",
    "taken_events",
    "unwanted_items",
]

EVENT_KEYS = (Key.USER_ID, Key.ITEM_ID, Key.TENANT, Key.TS, Key.TYPE, Key.VALUE)
"""Payload keys that an interaction is derived from."""

MAX_EVENTS = 1_000
"""Latest events of a user that have a voice in what items share; older ones are not counted."""

_KINDS = ("", *sorted(OPINIONS), *UNDOES, *sorted(set(UNDOES.values()) - OPINIONS))
"""Types of events that need telling apart; 0 stands for every other."""
_NUMBER = {kind: number for number, kind in enumerate(_KINDS)}
_ROW = np.dtype([("user", "i4"), ("item", "i4"), ("ts", "f8"), ("weight", "f4"), ("kind", "i1"), ("rated", "?")])


def read_interactions(space: SpaceStore, config: SpaceConfig) -> Interactions:
    """Read all positive events about items."""
    return collect(space.events.pages(None, EVENT_KEYS), config)


def collect(pages: Iterable[Sequence[Point]], config: SpaceConfig) -> Interactions:
    """Collect what users took from pages of events; each event takes 22 bytes, besides the table of ids.

    Counts the ``MAX_EVENTS`` latest events of a user, and of them those that stand and speak for their item. Within a page
    and from page to page, events of one moment must come in the order of their ids.
    """
    users: dict[tuple[str, str], int] = {}
    items: dict[tuple[str, str], int] = {}
    columns: list[np.ndarray] = []
    n_events = 0
    for page in pages:
        n_events += len(page)
        columns.append(np.array(list(_rows(page, config, users, items)), dtype=_ROW))
    table = np.concatenate(columns) if columns else np.empty(0, dtype=_ROW)
    columns.clear()  # half of the memory, before the sort copies the rest
    table = _latest(table[np.lexsort((table["ts"], table["user"]))])
    table = table[_taken(table)]
    return _interactions(table, list(items), n_events, list(users))


def standing_events(events: Sequence[Point], config: SpaceConfig) -> list[Point]:
    """Return those of a user's events that stand, in the same order; see :func:`~workers.behaviour.event_weights.standing`."""
    of_item: dict[str, list[Point]] = {}
    for event in events:
        if event.get(Key.ITEM_ID):
            of_item.setdefault(event.payload[Key.ITEM_ID], []).append(event)
    silent: set[str] = set()
    for about in of_item.values():
        if len(about) > 1 or about[0].payload[Key.TYPE] in UNDOES:
            silent |= {event.id for event, stands in zip(about, _judged(about, config), strict=True) if not stands}
    return [event for event in events if event.id not in silent]


def unwanted_items(events: Sequence[Point], config: SpaceConfig) -> list[str]:
    """Return the items that a user does not want: those with more said against than for them, and those given back.

    ``events`` are newest first. An item given back is wanted if it was bought again or is liked.
    """
    balance: dict[str, float] = {}
    liked: set[str] = set()
    for event in standing_events(events, config):
        item, kind, value = event.get(Key.ITEM_ID), event.payload[Key.TYPE], event.get(Key.VALUE)
        if item:
            weight = event_weight(kind, value, config)
            balance[item] = balance.get(item, 0.0) + weight
            liked |= {item} if weight > 0 and is_opinion(kind, value) else set()
    returned = _given_back(events) - liked
    ids = dict.fromkeys(event.payload[Key.ITEM_ID] for event in events if event.get(Key.ITEM_ID))
    return [item for item in ids if item in returned or balance.get(item, 0.0) < 0]


def _given_back(events: Sequence[Point]) -> set[str]:
    """Return the items whose latest purchase was taken back."""
    last: dict[str, tuple[float, bool]] = {}
    for event in events:
        kind, item = event.payload[Key.TYPE], event.get(Key.ITEM_ID)
        if item and (kind in GIVEN_BACK or kind == "purchase"):
            moment = timestamp(event.payload[Key.TS]), kind in GIVEN_BACK
            last[item] = max(last.get(item, moment), moment)
    return {item for item, (_, undone) in last.items() if undone}


def _judged(events: Sequence[Point], config: SpaceConfig) -> list[bool]:
    kinds, values = [event.payload[Key.TYPE] for event in events], [event.get(Key.VALUE) for event in events]
    weights = [event_weight(kind, value, config) for kind, value in zip(kinds, values, strict=True)]
    return standing(kinds, values, weights, [timestamp(event.payload[Key.TS]) for event in events])


def taken_events(events: Sequence[Point], config: SpaceConfig) -> list[Point]:
    """Return those of a user's events that say that the user took an item: they stand and speak for it."""
    return [
        event
        for event in standing_events(events, config)
        if event.get(Key.ITEM_ID) and event_weight(event.payload[Key.TYPE], event.get(Key.VALUE), config) > 0
    ]


def _interactions(
    table: np.ndarray, names: list[tuple[str, str]], n_events: int, owners: list[tuple[str, str]]
) -> Interactions:
    """Number the items that were taken anew, and leave out the others."""
    numbers, items = np.unique(table["item"], return_inverse=True)
    return Interactions(
        table["user"].copy(),
        items.reshape(-1).astype(np.int32),
        [names[number] for number in numbers],
        n_events,
        owners,
    )


def _rows(
    page: Sequence[Point], config: SpaceConfig, users: dict[tuple[str, str], int], items: dict[tuple[str, str], int]
) -> Iterator[tuple[int, int, float, float, int, bool]]:
    """Yield the row of each event; numbers new users and items. An event without an item has item -1."""
    for event in page:
        tenant, kind, value = event.get(Key.TENANT, ""), event.payload[Key.TYPE], event.get(Key.VALUE)
        user = users.setdefault((tenant, event.payload[Key.USER_ID]), len(users))
        item = event.get(Key.ITEM_ID)
        number = items.setdefault((tenant, item), len(items)) if item else -1
        weight = event_weight(kind, value, config)
        yield user, number, timestamp(event.payload[Key.TS]), weight, _NUMBER.get(kind, 0), value is not None


def _latest(table: np.ndarray) -> np.ndarray:
    """Keep the ``MAX_EVENTS`` latest events of each user; ``table`` is sorted by user and time."""
    ends = np.append(np.flatnonzero(np.diff(table["user"])) + 1, len(table))
    left = np.repeat(ends, np.diff(ends, prepend=0)) - np.arange(len(table))
    return table[left <= MAX_EVENTS]


def _taken(table: np.ndarray) -> np.ndarray:
    """Whether each event took its item: it stands, and its weight is positive."""
    stands = np.ones(len(table), dtype=bool)
    order = np.lexsort((table["item"], table["user"]))
    keys = table["user"][order].astype(np.int64) << 32 | (table["item"][order].astype(np.int64) & 0xFFFFFFFF)
    starts = np.append(np.flatnonzero(np.diff(keys, prepend=-1)), len(order))
    special = np.add.reduceat(table["kind"][order] > 0, starts[:-1]) if len(order) else np.empty(0)
    for group in np.flatnonzero((special > 0) & (np.diff(starts) > 1)).tolist():
        rows = order[starts[group] : starts[group + 1]]
        if table["item"][rows[0]] >= 0:
            stands[rows] = _standing(table[rows])
    taken: np.ndarray = stands & (table["weight"] > 0) & (table["item"] >= 0)
    return taken


def _standing(rows: np.ndarray) -> list[bool]:
    """Tell which events of one user about one item stand."""
    values = [1.0 if rated else None for rated in rows["rated"].tolist()]
    kinds = [_KINDS[number] for number in rows["kind"].tolist()]
    return standing(kinds, values, rows["weight"].tolist(), rows["ts"].tolist())
