"""The histories of all users of a space, in the form that splits need."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.clock import timestamp
from llmrec_qdrant.space.layout import Key

from ..behaviour.event_weights import event_weight, standing

__all__ = ["Histories", "Who", "who_of"]

Who = tuple[str, str]
"""(tenant, user id)."""


def who_of(event: Mapping[str, Any]) -> Who:
    """Return (tenant, user id) of an event's payload."""
    return event.get(Key.TENANT) or "", event[Key.USER_ID]


class _Told(NamedTuple):
    """What an event says about its item."""

    kind: str
    value: float | None
    moment: float


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
        about: dict[Who, dict[str, list[_Told]]] = {}
        moments: dict[Who, list[float]] = {}
        for event in events:
            who, moment = who_of(event), timestamp(event[Key.TS])
            moments.setdefault(who, []).append(moment)
            if event.get(Key.ITEM_ID):
                told = _Told(sys.intern(event[Key.TYPE]), event.get(Key.VALUE), moment)
                about.setdefault(who, {}).setdefault(event[Key.ITEM_ID], []).append(told)
        taken = {who: list(_taken(of_item, config, repeats)) for who, of_item in about.items()}
        return cls({who: pairs for who, pairs in taken.items() if pairs}, moments)

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


def _taken(of_item: Mapping[str, Sequence[_Told]], config: SpaceConfig, repeats: bool) -> Iterator[tuple[str, float]]:
    """Yield (item, time) for what a user took, from the events about each item that stand."""
    for item, events in of_item.items():
        weights = [event_weight(event.kind, event.value, config) for event in events]
        kinds, values, moments = zip(*events, strict=True)
        stand = standing(kinds, values, weights, moments)
        taken = [weight > 0 and stands for weight, stands in zip(weights, stand, strict=True)]
        times = sorted({event.moment for event, taken_then in zip(events, taken, strict=True) if taken_then})
        yield from ((item, moment) for moment in (times if repeats else times[:1]))
