"""Finds out what a user's list leaves out: what they have seen, and what they do not want."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qdrant_client import models

from llmrec_qdrant.contracts.answers import Seen
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.entities import GIVEN_BACK, RATED
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.clock import timestamp
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.users import StoredUser
from llmrec_qdrant.query.options import left_out
from llmrec_qdrant.space.conditions import equals, where
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point

__all__ = ["LeftOut", "read_left_out"]

MAX_TOLD = 1_000
"""Events since the last refresh that are read."""


@dataclass(frozen=True)
class LeftOut:
    """Ids of the items that a list leaves out."""

    items: tuple[str, ...]
    disliked: tuple[str, ...]
    """Those of them that the user does not want, latest first."""


def read_left_out(bound: Bound, user: str, stored: StoredUser, exclude_seen: Seen) -> Steps[LeftOut]:
    """Return what a list leaves out; of a stale user, the events that the stored profile does not include are read, too."""
    told = (yield from _told_since(bound, user)) if stored.stale else []
    taken = [event.payload[Key.ITEM_ID] for event in told]
    unwanted = _unwanted(told, bound.config)
    last = next((item for item in taken if not unwanted.get(item)), stored.last)
    against = [item for item, now in unwanted.items() if now]
    disliked = (*against, *(item for item in stored.disliked if item not in unwanted))
    seen = left_out([*taken, *stored.seen], last, exclude_seen)
    return LeftOut(tuple(dict.fromkeys([*seen, *disliked])), disliked)


def _told_since(bound: Bound, user: str) -> Steps[Sequence[Point]]:
    """Return the events about items that workers have not folded yet, latest first."""
    mine = [equals(Key.USER_ID, user), equals(Key.TENANT, bound.owner), equals(Key.FOLDED, False)]
    newest = models.OrderBy(key=Key.TS, direction=models.Direction.DESC)
    keys = [Key.ITEM_ID, Key.TYPE, Key.VALUE, Key.TS]
    events, _ = yield from calls.scroll(bound.space.events, where(*mine), limit=MAX_TOLD, payload=keys, order_by=newest)
    return [event for event in events if event.get(Key.ITEM_ID)]


def _unwanted(told: Sequence[Point], config: SpaceConfig) -> dict[str, bool]:
    """Return item → whether the latest word on it, latest first, is that the user does not want it; other items are left out.

    At the same moment, the less favourable counts. A purchase is no opinion: it counts after a return alone.
    """
    unwanted: dict[str, bool] = {}
    bought: set[str] = set()
    order = {event.id: (timestamp(event.payload[Key.TS]), _speaks_against(event, config)) for event in told}
    for event in sorted(told, key=lambda event: order[event.id], reverse=True):
        item, kind = event.payload[Key.ITEM_ID], event.payload[Key.TYPE]
        if kind == "purchase":
            bought.add(item)
        elif kind in GIVEN_BACK:
            unwanted.setdefault(item, item not in bought)
        elif _speaks_against(event, config) or kind in {"like", "undislike"} or _is_rated(event):
            unwanted.setdefault(item, _speaks_against(event, config))
    return unwanted


def _is_rated(event: Point) -> bool:
    return event.payload[Key.TYPE] in RATED and event.get(Key.VALUE) is not None


def _speaks_against(event: Point, config: SpaceConfig) -> bool:
    """Whether the user does not want the event's item: it has a negative weight, or gives the item back."""
    kind, value = event.payload[Key.TYPE], event.get(Key.VALUE)
    weight = config.event_weights.get(kind, 1.0)
    rated_low = _is_rated(event) and weight > 0 and value < sum(config.rating_scale) / 2
    return weight < 0 or rated_low or kind in GIVEN_BACK
