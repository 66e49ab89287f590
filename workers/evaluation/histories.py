"""The histories of all users of a space, in the form that splits need."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.clock import timestamp
from llmrec_qdrant.space.layout import Key

from ..behaviour.event_weights import event_weight

__all__ = ["Histories", "Who", "who_of"]

Who = tuple[str, str]
"""(tenant, user id)."""


def who_of(event: Mapping[str, Any]) -> Who:
    """Return (tenant, user id) of an event's payload."""
    return event.get(Key.TENANT) or "", event[Key.USER_ID]


@dataclass(frozen=True)
class Histories:
    """What each user took, and when. An event of positive weight takes its item; times are Unix seconds."""

    taken: dict[Who, list[tuple[str, float]]]
    """(item, time) for the first time an item was taken; with repeats, for every time."""
    moments: dict[Who, list[float]]
    """Times of all events, of any kind."""

    @classmethod
    def of(cls, events: Iterable[Mapping[str, Any]], config: SpaceConfig, repeats: bool = False) -> Histories:
        """Collect the histories from payloads of events, in any order."""
        firsts: dict[Who, dict[tuple[str, float], float]] = {}
        moments: dict[Who, list[float]] = {}
        for event in events:
            who, moment = who_of(event), timestamp(event[Key.TS])
            moments.setdefault(who, []).append(moment)
            item = event.get(Key.ITEM_ID)
            if item and event_weight(event[Key.TYPE], event.get(Key.VALUE), config) > 0:
                of_user, key = firsts.setdefault(who, {}), (item, moment if repeats else 0.0)
                of_user[key] = min(moment, of_user.get(key, moment))
        taken = {who: [(item, moment) for (item, _), moment in pairs.items()] for who, pairs in firsts.items()}
        return cls(taken, moments)

    def cutoff(self, share: float) -> float:
        """Return the time at which the latest ``share`` of all events begins; infinite without events."""
        moments = sorted(moment for of_user in self.moments.values() for moment in of_user)
        return moments[min(int(len(moments) * (1 - share)), len(moments) - 1)] if moments else math.inf

    def taken_at(self, who: Who, moment: float) -> set[str]:
        """Return the items that a user took at a moment."""
        return {item for item, taken in self.taken[who] if taken == moment}

    def events_before(self, who: Who, moment: float) -> int:
        """Count the events of a user before a moment."""
        return sum(other < moment for other in self.moments[who])
