"""Reads a user: the legs to query, the seen items, the interests and the steering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llmrec_qdrant.contracts.answers import Interest
from llmrec_qdrant.contracts.config import LEGS, Leg
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.space.interests import read_interest
from llmrec_qdrant.space.layout import INTERESTS, Key
from llmrec_qdrant.space.points import Point

__all__ = ["StoredUser", "read_user"]

BOOSTED_SHARE = 0.05
"""Share, before the boost, of a boosted topic that the user has no events about."""
_READ = (Key.LEGS, Key.SEEN, Key.LAST, Key.TERMS, Key.INTERESTS, Key.STEER)


@dataclass(frozen=True)
class StoredUser:
    """A stored user; for an unknown user, everything but ``point`` is empty."""

    point: str
    known: bool = False
    legs: tuple[Leg, ...] = ()
    seen: tuple[str, ...] = ()
    """Ids of seen items, latest first."""
    last: str | None = None
    """Item of the latest event with a positive weight."""
    terms: tuple[str, ...] = ()
    interests: tuple[Interest, ...] = ()
    rows: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Topic → vector of the interest in it, if vectors were read."""
    steering: Mapping[str, float] = field(default_factory=dict)
    """Topic → weight, as the user set it."""

    @property
    def shares(self) -> dict[str, float]:
        """Topic → share of the user's attention, from events and steering."""
        boosted = {topic: BOOSTED_SHARE for topic, weight in self.steering.items() if weight > 1}
        shares = boosted | {interest.topic: interest.weight for interest in self.interests}
        return {topic: share * self.steering.get(topic, 1.0) for topic, share in shares.items()}

    def queries(self, bound: Bound) -> list[LegQuery]:
        """The user's vectors as queries."""
        return [LegQuery(leg, self.point, bound.space.users) for leg in self.legs]


def read_user(bound: Bound, user: str, *, vectors: bool = False) -> Steps[StoredUser]:
    """Read a user; with ``vectors``, also the vectors of the interests."""
    point = bound.user_point(user)
    points = yield from calls.retrieve(bound.space.users, [point], _READ, [INTERESTS] if vectors else False)
    return _user(points[0]) if points else StoredUser(point)


def _user(point: Point) -> StoredUser:
    interests = tuple(read_interest(stored) for stored in point.get(Key.INTERESTS, []))
    rows: Sequence[Sequence[float]] = point.vectors.get(INTERESTS) or []
    return StoredUser(
        point.id,
        known=True,
        legs=tuple(leg for leg in LEGS if leg in point.get(Key.LEGS, [])),
        seen=tuple(point.get(Key.SEEN, [])),
        last=point.get(Key.LAST),
        terms=tuple(point.get(Key.TERMS, [])),
        interests=interests,
        rows={interest.topic: row for interest, row in zip(interests, rows, strict=False)},
        steering=point.get(Key.STEER, {}),
    )
