"""Decides when the collab leg must be rebuilt: for single items, or as a whole.

A user's refresh marks the items that the new events change, and a partial rebuild processes them. A whole fit is due when
the space has grown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
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

from ..behaviour.cooccurrence import WINDOW
from ..behaviour.event_weights import item_point
from ..storage.store import SpaceStore
from .interactions import MAX_EVENTS, taken_events

__all__ = ["due", "fit_due", "mark_due", "read_collab_fit", "unmark_due"]

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
    fitted = space.items.metadata().get(COLLAB_FIT) or {}
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


def unmark_due(space: SpaceStore, since: str, points: Sequence[str] = ()) -> None:
    """Clear the marks set before ``since``, of these item points or of all."""
    which = conditions.where(_due_before(since), *([conditions.has_id(*points)] if points else []))
    space.items.set_payload({Key.COLLAB_SINCE: None}, which)


def due(space: SpaceStore) -> list[str]:
    """Return the item points for one partial rebuild, longest due first, with at most ``MAX_USERS`` users in total.

    Leaves out very popular items: one event changes them little, so they wait for the next whole fit.
    """
    rare = models.FieldCondition(key=Key.POPULARITY, range=models.Range(lte=MAX_POPULARITY))
    order = models.OrderBy(key=Key.COLLAB_SINCE, direction=models.Direction.ASC)
    waiting, _ = space.items.scroll(
        conditions.where(_due_before(now()), rare), order_by=order, limit=MAX_BATCH, payload=[Key.POPULARITY]
    )
    users = np.cumsum([1 + float(item.get(Key.POPULARITY, 0)) for item in waiting])
    return [item.id for item, total in zip(waiting, users, strict=True) if total <= MAX_USERS]


def _due_before(moment: str) -> models.FieldCondition:
    return models.FieldCondition(key=Key.COLLAB_SINCE, range=models.DatetimeRange(lte=moment))
