"""Splits the events of a space into a known past and held-out targets."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.clock import timestamp
from llmrec_qdrant.space.layout import Key

from .histories import Histories, Who, who_of

__all__ = ["Halves", "Split", "Target", "hide_last", "hide_latest", "hide_next"]


@dataclass(frozen=True)
class Target:
    """A user, and the held-out items that a list for them should contain."""

    user: str
    tenant: str
    items: tuple[str, ...]
    events_before: int
    """Number of the user's events before the held-out items."""


@dataclass(frozen=True)
class Halves:
    """Targets for choosing something, and held-out targets that confirm the choice."""

    choosing: Sequence[Target]
    confirming: Sequence[Target]

    @classmethod
    def of(cls, targets: Sequence[Target]) -> Halves:
        """Split targets into the first half and the rest."""
        half = len(targets) // 2
        return cls(targets[:half], targets[half:])


@dataclass(frozen=True)
class Split:
    """The targets, and the times from which events are held out, in Unix seconds."""

    targets: tuple[Target, ...]
    hidden_from: Mapping[Who, float]
    """The time from which a user's events are held out."""
    cutoff: float = math.inf
    """The time from which the events of all users are held out."""
    known_until: Mapping[Who, float] = field(default_factory=dict)
    """The time until which a user's held-out events still belong to their history, though nothing is fitted on them."""

    @property
    def in_time(self) -> bool:
        """Whether times compare between users; histories are then newer than what the models are fitted on."""
        return bool(self.known_until)

    def hides(self, event: Mapping[str, Any]) -> bool:
        """Whether the event with this payload is held out."""
        since = self.hidden_from.get(who_of(event), math.inf)
        return timestamp(event[Key.TS]) >= min(since, self.cutoff)

    def recent(self, event: Mapping[str, Any]) -> bool:
        """Whether an event belongs to its user's history, though nothing is fitted on it."""
        return self.hides(event) and timestamp(event[Key.TS]) < self.known_until.get(who_of(event), -math.inf)


def hide_last(
    events: Iterable[Mapping[str, Any]], config: SpaceConfig, users: int, seed: int = 0, hide: int = 1, *,
    repeats: bool = False,
) -> Split:  # fmt: skip
    """Leave-n-out split: hold out the last ``hide`` items that each user took for the first time, and all events since.

    With ``repeats``, items taken before count too. The last items of *all* users are held out, although only ``users``
    random users become targets: otherwise co-occurrence would be fitted on what the others took at the same time. Items
    taken at the same moment are shuffled, so that ids do not decide. A user needs an item from before the held-out ones.
    """
    histories = Histories.of(events, config, repeats)
    candidates = _with_a_past(histories, hide)
    random.Random(seed).shuffle(candidates)
    targets: list[Target] = []
    hidden: dict[Who, float] = {}
    for who in candidates:
        order = _by_time(histories.taken[who], random.Random(f"{seed} {who}"))
        since = order[-hide][1]
        if order[0][1] < since:
            hidden[who] = since
            if len(targets) < users:
                targets.append(_target(histories, who, {item for item, _ in order[-hide:]}, since))
    return Split(tuple(targets), hidden)


def hide_latest(
    events: Iterable[Mapping[str, Any]], config: SpaceConfig, users: int, seed: int = 0, share: float = 0.1
) -> Split:
    """Temporal split: hold out the latest ``share`` of all events.

    The targets are ``users`` random users with earlier events, and the items they took for the first time since then.
    """
    histories = Histories.of(events, config)
    cutoff = histories.cutoff(share)
    new_items = {
        who: [item for item, moment in taken if moment >= cutoff]
        for who, taken in histories.taken.items()
        if min(moment for _, moment in taken) < cutoff
    }
    chosen = _sample([who for who, items in new_items.items() if items], users, seed)
    return Split(tuple(_target(histories, who, new_items[who], cutoff) for who in chosen), {}, cutoff)


def hide_next(
    events: Iterable[Mapping[str, Any]], config: SpaceConfig, users: int, seed: int = 0, share: float = 0.1, *,
    repeats: bool = False,
) -> Split:  # fmt: skip
    """Temporal split with fresh histories: nothing is fitted on the latest ``share`` of all events.

    A user's target is what they took at a random moment in that period; their history reaches up to that moment. So the
    model is as old, and the history as fresh, as when a list is requested. (The *last* item would be a biased target: the
    user took nothing after it.) With ``repeats``, a target may have been taken before. A user needs an event from before
    the target.
    """
    histories = Histories.of(events, config, repeats)
    cutoff = histories.cutoff(share)
    requested_at: dict[Who, float] = {}
    for who, taken in histories.taken.items():
        first = min(histories.moments[who])
        moments = sorted({moment for _, moment in taken if moment >= cutoff and moment > first})
        if moments:
            requested_at[who] = random.Random(f"{seed} {who}").choice(moments)
    known_until = {who: requested_at[who] for who in _sample(requested_at, users, seed)}
    targets = [_target(histories, who, histories.taken_at(who, until), until) for who, until in known_until.items()]
    return Split(tuple(targets), {}, cutoff, known_until)


def _with_a_past(histories: Histories, hide: int) -> list[Who]:
    """Return the users who took more than ``hide`` items, at two moments or more, sorted."""
    return sorted(
        who for who, taken in histories.taken.items() if len({moment for _, moment in taken}) > 1 and len(taken) > hide
    )


def _by_time(taken: Iterable[tuple[str, float]], chance: random.Random) -> list[tuple[str, float]]:
    """Sort (item, time) pairs by time; pairs of the same time come in random order."""
    order = sorted(taken, key=lambda pair: (pair[1], pair[0]))
    chance.shuffle(order)
    order.sort(key=lambda pair: pair[1])
    return order


def _sample(candidates: Iterable[Who], users: int, seed: int) -> list[Who]:
    ordered = sorted(candidates)
    return random.Random(seed).sample(ordered, min(users, len(ordered)))


def _target(histories: Histories, who: Who, items: Iterable[str], since: float) -> Target:
    tenant, user = who
    return Target(user, tenant, tuple(sorted(items)), histories.events_before(who, since))
