"""Reads a user: the legs to query, the seen items, the interests and the steering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmrec_qdrant.contracts.answers import Interest
from llmrec_qdrant.contracts.config import LEGS, Leg
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.space.interests import read_interest
from llmrec_qdrant.space.layout import INTERESTS, Key
from llmrec_qdrant.space.points import Point

__all__ = ["ALL_KEYS", "StoredUser", "read_interest_vectors", "read_user"]

BOOSTED_SHARE = 0.05
"""Share, before the boost, of a boosted topic that the user has no events about."""
ALL_KEYS = (Key.LEGS, Key.SEEN, Key.DISLIKED, Key.STALE, Key.LAST, Key.TERMS, Key.INTERESTS, Key.STEER)
"""What is known of a user for lists."""


@dataclass(frozen=True)
class StoredUser:
    """A stored user; for an unknown user, everything but ``point`` is empty."""

    point: str
    known: bool = False
    legs: tuple[Leg, ...] = ()
    seen: tuple[str, ...] = ()
    """Ids of seen items, latest first."""
    disliked: tuple[str, ...] = ()
    """Ids of items that no list may have, latest first."""
    stale: bool = False
    """Whether there are events that the rest does not include."""
    last: str | None = None
    """Item of the latest event with a positive weight."""
    terms: tuple[str, ...] = ()
    interests: tuple[Interest, ...] = ()
    n_events: int = 0
    """Number of events that the rest includes."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """The events behind the vectors, as the last refresh stored them."""
    steering: Mapping[str, float] = field(default_factory=dict)
    """Topic → weight, as the user set it."""

    @property
    def boosted(self) -> frozenset[str]:
        """Topics that count more than usual."""
        return frozenset(topic for topic, weight in self.steering.items() if weight > 1)

    @property
    def shares(self) -> dict[str, float]:
        """Topic → share of the user's attention, from events and steering; adds up to 1, without muted topics."""
        shares = dict.fromkeys(self.boosted, BOOSTED_SHARE) | {
            interest.topic: interest.weight for interest in self.interests
        }
        steered = {topic: share * self.steering.get(topic, 1.0) for topic, share in shares.items()}
        whole = sum(steered.values())
        return {topic: share / whole for topic, share in steered.items() if share > 0}

    def queries(self, bound: Bound) -> list[LegQuery]:
        """The user's vectors as queries."""
        return [LegQuery(leg, self.point, bound.space.users) for leg in self.legs]


def read_user(bound: Bound, user: str, keys: Sequence[str] = ALL_KEYS) -> Steps[StoredUser]:
    """Read these keys of a user."""
    point = bound.user_point(user)
    points = yield from calls.retrieve(bound.space.users, [point], keys, remember=True)
    return _user(points[0]) if points else StoredUser(point)


def read_interest_vectors(bound: Bound, user: StoredUser) -> Steps[dict[str, Sequence[float]]]:
    """Return topic → vector of the user's interest in it."""
    points = yield from calls.retrieve(bound.space.users, [user.point], [Key.INTERESTS], [INTERESTS])
    if not points:
        return {}
    topics = [stored["topic"] for stored in points[0].get(Key.INTERESTS, [])]
    return dict(zip(topics, points[0].vectors.get(INTERESTS) or [], strict=False))


def _user(point: Point) -> StoredUser:
    interests = tuple(read_interest(stored) for stored in point.get(Key.INTERESTS, []))
    return StoredUser(
        point.id,
        known=True,
        legs=tuple(leg for leg in LEGS if leg in point.get(Key.LEGS, [])),
        seen=tuple(point.get(Key.SEEN, [])),
        disliked=tuple(point.get(Key.DISLIKED, [])),
        stale=bool(point.get(Key.STALE)),
        last=point.get(Key.LAST),
        terms=tuple(point.get(Key.TERMS, [])),
        interests=interests,
        n_events=int(point.get(Key.N_EVENTS) or 0),
        evidence=point.get(Key.EVIDENCE, {}),
        steering=point.get(Key.STEER, {}),
    )
