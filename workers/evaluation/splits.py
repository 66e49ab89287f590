"""TODO: workers.evaluation.splits."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.clock import timestamp
from llmrec_qdrant.space.layout import Key

from ..behaviour.event_weights import event_weight

__all__ = ["Split", "Target", "hide_last", "hide_latest", "hide_next"]


@dataclass(frozen=True)
class Target:
    """Somebody, and what they took after the moment from which their events are hidden."""

    user: str
    tenant: str
    items: tuple[str, ...]
    events_before: int


@dataclass(frozen=True)
class Split:
    """Targets, and which events nobody may see."""

    targets: tuple[Target, ...]
    hidden_from: Mapping[tuple[str, str], float]
    """(tenant, user) → Unix seconds from which on their events are hidden."""
    everybody_from: float = math.inf
    """The same for all users."""
    known_until: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Until when a user's hidden events stand in their history nevertheless: nothing is fitted on them."""

    @property
    def in_time(self) -> bool:
        """Whether histories are fresher than what is fitted: times are compared between users."""
        return bool(self.known_until)

    def recent(self, event: Mapping[str, Any]) -> bool:
        """Whether the payload of an event is hidden from all that is fitted, and known of the user who is asked about."""
        return self.hides(event) and timestamp(event[Key.TS]) < self.known_until.get(_who(event), -math.inf)

    def hides(self, event: Mapping[str, Any]) -> bool:
        """Whether the payload of an event belongs to the future."""
        since = self.hidden_from.get(_who(event), math.inf)
        return timestamp(event[Key.TS]) >= min(since, self.everybody_from)


def _who(event: Mapping[str, Any]) -> tuple[str, str]:
    """(tenant, user) of the payload of an event."""
    return event.get(Key.TENANT) or "", event[Key.USER_ID]


@dataclass
class _Histories:
    """Per (tenant, user): items and when they were taken (for the first time, or ever), and the moments of all events."""

    taken: dict[tuple[str, str], list[tuple[str, float]]]
    moments: dict[tuple[str, str], list[float]]

    def latest(self, share: float) -> float:
        """The moment from which on ``share`` of all events lie; infinite without events."""
        moments = sorted(moment for some in self.moments.values() for moment in some)
        return moments[min(int(len(moments) * (1 - share)), len(moments) - 1)] if moments else math.inf

    def target(self, who: tuple[str, str], items: Iterable[str], since: float) -> Target:
        before = sum(moment < since for moment in self.moments[who])
        return Target(who[1], who[0], tuple(sorted(items)), before)


def _read(events: Iterable[Mapping[str, Any]], config: SpaceConfig, repeats: bool = False) -> _Histories:
    taken: dict[tuple[str, str], dict[tuple[str, float], float]] = {}
    moments: dict[tuple[str, str], list[float]] = {}
    for event in events:
        who = _who(event)
        moment = timestamp(event[Key.TS])
        moments.setdefault(who, []).append(moment)
        item = event.get(Key.ITEM_ID)
        if item and event_weight(event[Key.TYPE], event.get(Key.VALUE), config) > 0:
            mine, key = taken.setdefault(who, {}), (item, moment if repeats else 0.0)
            mine[key] = min(moment, mine.get(key, moment))
    found = {who: [(item, moment) for (item, _), moment in mine.items()] for who, mine in taken.items()}
    return _Histories(found, moments)


def hide_last(
    events: Iterable[Mapping[str, Any]],
    config: SpaceConfig,
    users: int,
    seed: int = 0,
    hide: int = 1,
    *,
    repeats: bool = False,
) -> Split:
    """Leave-n-out: the ``hide`` items that users took last for the first time, and all their events since.

    With ``repeats`` also what they had taken before: just the last they took.

    They are hidden of everybody, though only random users are asked about: else the others tell what is new, and the
    co-occurrence looks better than it is. Of items first taken at the same moment random ones come first: the order of
    ids must not decide. A user needs an item from before the hidden ones.
    """
    found = _read(events, config, repeats)
    targets: list[Target] = []
    hidden: dict[tuple[str, str], float] = {}
    able = sorted(
        who for who, takes in found.taken.items() if len({moment for _, moment in takes}) > 1 and len(takes) > hide
    )
    random.Random(seed).shuffle(able)
    for who in able:
        chance = random.Random(f"{seed} {who}")
        order = sorted(found.taken[who], key=lambda pair: (pair[1], pair[0]))
        chance.shuffle(order)
        order.sort(key=lambda pair: pair[1])
        since = order[-hide][1]
        if order[0][1] < since:
            hidden[who] = since
            if len(targets) < users:
                targets.append(found.target(who, {item for item, _ in order[-hide:]}, since))
    return Split(tuple(targets), hidden)


def hide_latest(
    events: Iterable[Mapping[str, Any]], config: SpaceConfig, users: int, seed: int = 0, share: float = 0.1
) -> Split:
    """Temporal: everybody's events from the moment on after which ``share`` of all events lie.

    Targets are the items that random users with a past took for the first time since.
    """
    found = _read(events, config)
    since = found.latest(share)
    new = {
        who: [item for item, moment in takes if moment >= since]
        for who, takes in found.taken.items()
        if min(moment for _, moment in takes) < since
    }
    able = sorted(who for who, items in new.items() if items)
    chosen = random.Random(seed).sample(able, min(users, len(able)))
    return Split(tuple(found.target(who, new[who], since) for who in chosen), {}, since)


def hide_next(
    events: Iterable[Mapping[str, Any]],
    config: SpaceConfig,
    users: int,
    seed: int = 0,
    share: float = 0.1,
    *,
    repeats: bool = False,
) -> Split:
    """What random users took at a random moment of the latest ``share`` of all events, on which nothing is fitted.

    They are asked about as of then, with all they did before: models are as old as that share, and histories as fresh as
    when a list is asked for. What users took *last* is another question: it is what they took nothing after. With ``repeats``
    a target may be something its user took before. A user needs an event from before their target.
    """
    found = _read(events, config, repeats)
    since = found.latest(share)
    late: dict[tuple[str, str], float] = {}
    for who, takes in found.taken.items():
        moments = sorted({moment for _, moment in takes if moment >= since and moment > min(found.moments[who])})
        if moments:
            late[who] = random.Random(f"{seed} {who}").choice(moments)
    able = sorted(late)
    chosen = random.Random(seed).sample(able, min(users, len(able)))
    targets = tuple(
        found.target(who, {item for item, moment in found.taken[who] if moment == late[who]}, late[who])
        for who in chosen
    )
    return Split(targets, {}, since, {who: late[who] for who in chosen})
