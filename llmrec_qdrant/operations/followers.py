"""Counts the users behind evidence of the collab leg: who took one item and another one after it."""

from __future__ import annotations

from llmrec_qdrant.contracts.evidence import EventEvidence, Evidence, LegEvidence
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.clock import timestamp
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.space.conditions import equals, one_of, where
from llmrec_qdrant.space.layout import COLLAB, Key

__all__ = ["with_followers"]

MAX_COUNTED = 3
"""Items whose followers are counted, strongest evidence first."""
MAX_EVENTS = 10_000
"""Events of one item that are read."""


def with_followers(bound: Bound, item: str, told: Evidence) -> Steps[Evidence]:
    """Fill ``followers`` of the strongest evidence of the collab leg."""
    legs: list[LegEvidence] = []
    for leg in told.legs:
        counted = (yield from _counted(bound, item, leg)) if leg.leg == COLLAB else leg
        legs.append(counted)
    return told.model_copy(update={"legs": legs})


def _counted(bound: Bound, item: str, leg: LegEvidence) -> Steps[LegEvidence]:
    ends = yield from _moments(bound, item, last=True)
    events: list[EventEvidence] = []
    for place, event in enumerate(leg.events):
        if place < MAX_COUNTED and event.item is not None:
            starts = yield from _moments(bound, event.item, last=False)
            followers = sum(user in ends and moment < ends[user] for user, moment in starts.items())
            event = event.model_copy(update={"followers": followers})
        events.append(event)
    return leg.model_copy(update={"events": events})


def _moments(bound: Bound, item: str, last: bool) -> Steps[dict[str, float]]:
    """Return user → time of their first or last event about an item; negative opinions are left out."""
    kinds = sorted(kind for kind, weight in bound.config.event_weights.items() if weight <= 0)
    which = where(equals(Key.ITEM_ID, item), equals(Key.TENANT, bound.owner))
    if kinds:
        which = which.model_copy(update={"must_not": [one_of(Key.TYPE, kinds)]})
    events, _ = yield from calls.scroll(bound.space.events, which, limit=MAX_EVENTS, payload=[Key.USER_ID, Key.TS])
    moments: dict[str, float] = {}
    for event in events:
        user, moment = event.payload[Key.USER_ID], timestamp(event.payload[Key.TS])
        pick = max if last else min
        moments[user] = pick(moments.get(user, moment), moment)
    return moments
