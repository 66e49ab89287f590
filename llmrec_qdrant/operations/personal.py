"""TODO: llmrec_qdrant.operations.personal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from qdrant_client import models

from llmrec_qdrant.contracts.answers import Recommendation, Seen
from llmrec_qdrant.contracts.config import LEGS, Leg
from llmrec_qdrant.errors import InvalidInput, show
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.lists import Ask, _checked, _filter, _Plan, _plan, _run
from llmrec_qdrant.operations.steps import Steps, call
from llmrec_qdrant.query import requests, results
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.space.conditions import all_of
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Key

__all__ = ["recommend", "request", "top"]


ORDERED = frozenset({"integer", "float", "datetime"})
"""Kinds of fields that have an order."""


BOOSTED = 0.05
"""Share that a boosted topic has, before the boost, with a user who has no events about it."""


@dataclass(frozen=True)
class _User:
    """What the query needs to know of a user."""

    point: str
    legs: tuple[Leg, ...] = ()
    seen: tuple[str, ...] = ()
    last: str | None = None
    """What they took last."""
    terms: tuple[str, ...] = ()
    known: bool = False
    interests: Mapping[str, float] = field(default_factory=dict)
    steering: Mapping[str, float] = field(default_factory=dict)

    @property
    def wanted(self) -> dict[str, float]:
        """Share per topic, as the events and the user say."""
        boosted = {topic: BOOSTED for topic, weight in self.steering.items() if weight > 1}
        shares = {**boosted, **self.interests}
        return {topic: share * self.steering.get(topic, 1.0) for topic, share in shares.items()}

    def queries(self, bound: Bound) -> list[LegQuery]:
        return [LegQuery(leg, self.point, bound.space.users) for leg in self.legs]


def _look_up(bound: Bound, user: str) -> Steps[_User]:
    point = point_id("user", user, bound.tenant)
    wanted = [Key.LEGS, Key.SEEN, Key.LAST, Key.TERMS, Key.INTERESTS, Key.STEER]
    found = yield from call("retrieve", collection_name=bound.space.users, ids=[point], with_payload=wanted)
    if not found:
        return _User(point)
    payload = found[0].payload or {}
    return _User(
        point,
        legs=tuple(leg for leg in LEGS if leg in (payload.get(Key.LEGS) or [])),
        seen=tuple(payload.get(Key.SEEN) or []),
        last=payload.get(Key.LAST),
        terms=tuple(payload.get(Key.TERMS) or []),
        known=True,
        interests={one["topic"]: float(one["weight"]) for one in payload.get(Key.INTERESTS) or []},
        steering=payload.get(Key.STEER) or {},
    )


def _popular(bound: Bound, ask: Ask, filter: models.Filter | None, why: str) -> _Plan:
    return _Plan(requests.top(filter, ask.limit), filter=filter, reason=f"popular: {why}")


def _personal(bound: Bound, ask: Ask, user: str, exclude_seen: Seen) -> Steps[tuple[_Plan, _User]]:
    requests.check_limit(ask.limit)
    requests.check_seen(exclude_seen)
    who = yield from _look_up(bound, user)
    filter = all_of(
        _filter(bound, ask, requests.left_out(who.seen, who.last, exclude_seen)), requests.unmuted(who.steering)
    )
    plan = _plan(bound, ask, who.queries(bound), filter)
    if plan is not None and any(weight not in {0, 1} for weight in who.steering.values()):
        depth = max(bound.config.prefetch, ask.limit)
        plan = replace(plan, request=requests.steered(plan.request, plan.legs, who.steering, filter, depth))
    if plan is None:
        if not who.known:
            why = f"there are no events of {user!r} yet"
        elif not who.legs:
            why = f"the events of {user!r} are not encoded yet"
        else:
            why = f"{user!r} has no vector for the legs that were asked"
        plan = _popular(bound, ask, filter, why)
    return plan, who


def recommend(bound: Bound, user: str, ask: Ask, exclude_seen: Seen) -> Steps[list[Recommendation]]:
    """Items for a user; popular ones, marked so in ``reason``, for a user without vectors."""
    plan, who = yield from _personal(bound, _checked(ask), user, exclude_seen)
    if not plan.reason:
        listed = yield from _run(bound, ask, plan, who.terms, who.wanted)
        if listed:
            return listed
        plan = _popular(bound, ask, plan.filter, f"nothing suits what is known of {user!r}")
    answers = yield from call("query_batch_points", collection_name=bound.space.items, requests=[plan.request])
    return _scored_by_popularity(answers[0].points, plan.reason)


def _scored_by_popularity(points: Sequence[models.ScoredPoint], reason: str) -> list[Recommendation]:
    return [
        one.model_copy(update={"score": float((point.payload or {}).get(Key.POPULARITY) or 0.0)})
        for one, point in zip(results.recommendations(points, reason), points, strict=True)
    ]


def top(bound: Bound, by: str, ask: Ask) -> Steps[list[Recommendation]]:
    """Items by a field, highest or latest first: the popular ones, or what is new."""
    _checked(ask)
    fields = [Key.POPULARITY, *(name for name, kind in bound.config.fields.items() if kind in ORDERED)]
    if by not in fields:
        raise InvalidInput(
            f"items are ordered by one of {fields}, not {show(by)}; other numbers and dates: declare them in the space's fields"
        )
    request = requests.top(_filter(bound, ask), ask.limit, by)
    answers = yield from call("query_batch_points", collection_name=bound.space.items, requests=[request])
    return _scored_by_popularity(answers[0].points, f"by {by}")


def request(bound: Bound, user: str, ask: Ask, exclude_seen: Seen) -> Steps[dict[str, Any]]:
    """The exact body that :func:`recommend` sends."""
    plan, _ = yield from _personal(bound, _checked(ask), user, exclude_seen)
    return requests.as_json(plan.request)
