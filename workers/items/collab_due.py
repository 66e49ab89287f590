"""Decides when the collab leg must be rebuilt: for single items, or as a whole.

A user's refresh marks the items that the new events change, and a partial rebuild processes them. A whole fit is due when
the space has grown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from qdrant_client import models

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.messages import MAX_BATCH
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import COLLAB_FIT, Key
from llmrec_qdrant.space.points import Point
from llmrec_qdrant.space.shapes import record

from ..behaviour.cooccurrence import WINDOW
from ..behaviour.event_weights import item_point
from ..storage.store import SpaceStore
from .interactions import MAX_EVENTS, taken_events

__all__ = ["begin_rebuild", "due", "fit_due", "mark_due", "read_collab_fit", "unmark_due"]

ITEMS_PER_MARK = 1_000
"""Items that are marked in one request."""
MAX_POPULARITY = 500
"""Users of an item above which its row waits for the next whole fit."""
MAX_USERS = 5_000
"""Users whose events one partial rebuild reads."""
COLLAB_GROWTH = 1.1
"""A whole fit is due when events or items have grown by this factor since the last one."""
MAX_STALE_SHARE = 0.01
"""Share of stale items above which a load is under way: a whole fit would be outdated at once."""


def read_collab_fit(space: SpaceStore) -> dict[str, Any]:
    """Return the counts of events and items at the last whole fit, and the digest of its settings; empty if none."""
    fitted = record(space.items.metadata(), COLLAB_FIT)
    return {name: fitted[name] for name in ("events", "items", "fitting") if name in fitted}


def fit_due(space: SpaceStore) -> bool:
    """Whether enough events or items have been added since the last whole fit, or its settings have changed."""
    fitted = read_collab_fit(space)
    if fitted and fitted.get("fitting") != space.config().fitting:
        return True
    events, items = space.events.count(), space.items.count()
    grown = events > COLLAB_GROWTH * fitted.get("events", 0) or (
        events > 0 and items > COLLAB_GROWTH * fitted.get("items", 0)
    )
    return grown and space.items.count(conditions.where(conditions.stale())) <= MAX_STALE_SHARE * items


def mark_due(space: SpaceStore, config: SpaceConfig, users: Sequence[tuple[Sequence[Point], Sequence[Point]]]) -> None:
    """Mark the items whose collab leg changes with the new events of these users.

    ``users`` are pairs: a user's events that count now, newest first, and those that counted before and are too old now.
    """
    points = {point for events, dropped in users for point in _neighbours(events, dropped, config)}
    for batch in batches(points, ITEMS_PER_MARK):
        space.items.set_payload({Key.COLLAB_SINCE: now()}, conditions.only(*batch))


def _neighbours(events: Sequence[Point], dropped: Sequence[Point], config: SpaceConfig) -> set[str]:
    """Return the item points within ``WINDOW`` events of those that a user takes now and did not take before, or the reverse.

    The newest event always counts as new, since another version of the space may have marked it as folded.
    """
    folded = [event for event in [*events, *dropped] if event.get(Key.FOLDED)]
    orders = [taken_events(events, config), taken_events(folded[:MAX_EVENTS], config)]
    if folded[:1] == events[:1]:
        orders.append(taken_events(folded[1 : MAX_EVENTS + 1], config))
    now_taken, *then_taken = ({event.id for event in order} for order in orders)
    changed = {event.id for event in events[:1]}.union(*(now_taken ^ then for then in then_taken))
    return {item_point(event) for order in orders for event in _near(order, changed)}


def _near(order: Sequence[Point], changed: Collection[str]) -> Iterator[Point]:
    """Yield the events within ``WINDOW`` steps of a changed one, itself included."""
    for place, event in enumerate(order):
        if event.id in changed:
            yield from order[max(place - WINDOW, 0) : place + WINDOW + 1]


def begin_rebuild(space: SpaceStore, points: Sequence[str] = ()) -> str:
    """Give the marks of these item points, or all marks, one new value, and return it; call it before reading events.

    A later mark has another value, so :func:`unmark_due` leaves it, whatever the clock says of whoever set it.
    """
    stamp = now()
    space.items.set_payload({Key.COLLAB_SINCE: stamp}, conditions.where(_marked(), *_among(points)))
    return stamp


def unmark_due(space: SpaceStore, stamp: str, points: Sequence[str] = ()) -> None:
    """Clear the marks that still have the value of :func:`begin_rebuild`, of these item points or of all."""
    same = models.FieldCondition(key=Key.COLLAB_SINCE, range=models.DatetimeRange(gte=stamp, lte=stamp))
    space.items.set_payload({Key.COLLAB_SINCE: None}, conditions.where(same, *_among(points)))


def _among(points: Sequence[str]) -> list[models.HasIdCondition]:
    return [conditions.has_id(*points)] if points else []


def due(space: SpaceStore) -> list[str]:
    """Return the item points for one partial rebuild, longest due first, with at most ``MAX_USERS`` users in total.

    Leaves out very popular items: one event changes them little, so they wait for the next whole fit.
    """
    rare = models.FieldCondition(key=Key.POPULARITY, range=models.Range(lte=MAX_POPULARITY))
    order = models.OrderBy(key=Key.COLLAB_SINCE, direction=models.Direction.ASC)
    waiting, _ = space.items.scroll(
        conditions.where(_marked(), rare), order_by=order, limit=MAX_BATCH, payload=[Key.POPULARITY]
    )
    users = np.cumsum([1 + float(item.get(Key.POPULARITY, 0)) for item in waiting])
    return [
        item.id for item, total in zip(waiting, users, strict=True) if total <= MAX_USERS and not item.id.isdecimal()
    ]


def _marked() -> models.FieldCondition:
    """Match every item with a mark: none is older than Unix time."""
    return models.FieldCondition(key=Key.COLLAB_SINCE, range=models.DatetimeRange(gte=datetime.fromtimestamp(0, UTC)))
