"""Recommends items to a user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from qdrant_client import models

from llmrec_qdrant.contracts.answers import Recommendation, Seen
from llmrec_qdrant.contracts.checks import external_id
from llmrec_qdrant.contracts.evidence import Adjustment, Evidence
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.absent import say_absent
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.evidence import run_list
from llmrec_qdrant.operations.left_out import LeftOut, read_left_out
from llmrec_qdrant.operations.limits import as_body, limits_of
from llmrec_qdrant.operations.plan import Plan, Taste, item_filter, leg_weights, plan_list, read_pages
from llmrec_qdrant.operations.popular import plan_popular
from llmrec_qdrant.operations.remember import remembered
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.together import run_together
from llmrec_qdrant.operations.undeclared import say_kind
from llmrec_qdrant.operations.users import StoredUser, read_user
from llmrec_qdrant.query import requests, results
from llmrec_qdrant.query.options import ListOptions, check_seen
from llmrec_qdrant.query.sources import of_user
from llmrec_qdrant.query.steering import steered, unmuted
from llmrec_qdrant.space.conditions import all_of
from llmrec_qdrant.space.layout import Key

__all__ = ["USERS_TOGETHER", "plan_for", "plan_request", "recommend", "recommend_many", "request", "taste_of"]

USERS_TOGETHER = 64
"""Users whose lists are asked for in one request."""


@say_absent
def recommend(bound: Bound, user: str, options: ListOptions, exclude_seen: Seen) -> Steps[list[Recommendation]]:
    """Return items for a user; a user without vectors gets the popular items, and ``reason`` says so."""
    check_seen(exclude_seen)
    return (yield from remembered(bound.memory, partial(_recommend, bound, external_id(user), options, exclude_seen)))


def recommend_many(
    bound: Bound, users: Sequence[str], options: ListOptions, exclude_seen: Seen
) -> Steps[list[tuple[str, list[Recommendation]]]]:
    """Return each user with the list of :func:`recommend`; all are read in the round trips of one."""
    once = replace(bound, memory=None)
    names = [external_id(user) for user in users]
    lists = yield from run_together([recommend(once, name, options, exclude_seen) for name in names])
    return list(zip(names, lists, strict=True))


def _recommend(bound: Bound, user: str, options: ListOptions, exclude_seen: Seen) -> Steps[list[Recommendation]]:
    stored = yield from read_user(bound, user, _keys(options, exclude_seen))
    left_out = yield from read_left_out(bound, user, stored, exclude_seen)
    plan = yield from plan_for(bound, user, stored, options, left_out)
    if not plan.reason:
        sources = of_user(stored.evidence, bound.config, bound.tenant)
        recommendations = yield from run_list(bound, options, plan, taste_of(stored), sources)
        if recommendations:
            return recommendations
        if options.offset and any((yield from calls.query(bound.space.items, [plan.page(0, 1)]))):
            return []  # the page lies behind the end of the list
        why = f"no item matches what is known about {user!r}"
        plan = yield from plan_popular(bound, plan.filter, left_out.disliked, why, only=False)
    request = plan.page(options.offset, options.limit)
    (points,) = yield from read_pages(bound.space.items, [request])
    ranked = results.recommendations if isinstance(request.query, models.FormulaQuery) else results.by_popularity
    silent = {leg: 0.0 for leg, weight in leg_weights(bound, options).items() if weight > 0} if options.explain else {}
    listed = [item.model_copy(update={"legs": silent}) for item in ranked(points, plan.reason)]
    return [_popular(item) for item in listed] if options.explain else listed


def _popular(item: Recommendation) -> Recommendation:
    """Add the evidence of an item of a popular list: its whole score is one adjustment."""
    part = Adjustment(kind="popular", contribution=item.score)
    told = Evidence(score=item.score, adjustments=[part], reasons={"en": item.reason})
    return item.model_copy(update={"evidence": told})


def taste_of(stored: StoredUser) -> Taste:
    """Return what is known of the user, for re-ranking and for reasons."""
    labels = {interest.topic: interest.label for interest in stored.interests}
    return Taste(stored.terms, stored.shares, stored.steering, labels)


@say_kind
def request(bound: Bound, user: str, options: ListOptions, exclude_seen: Seen) -> Steps[dict[str, Any]]:
    """Return the body whose answer is the list of :func:`recommend`."""
    body = yield from plan_request(bound, user, options, exclude_seen)
    limits = yield from limits_of(bound.space.items)
    return requests.as_json(as_body(bound.space.items, body, limits))


def plan_request(bound: Bound, user: str, options: ListOptions, exclude_seen: Seen) -> Steps[models.QueryRequest]:
    """Return the request whose answer is the list of :func:`recommend`."""
    check_seen(exclude_seen)
    user = external_id(user)
    stored = yield from read_user(bound, user, _keys(options, exclude_seen))
    left_out = yield from read_left_out(bound, user, stored, exclude_seen)
    plan = yield from plan_for(bound, user, stored, options, left_out)
    return plan.page(options.offset, options.limit)


def _keys(options: ListOptions, exclude_seen: Seen) -> list[str]:
    """Return the keys of the user that a list needs."""
    optional = {
        Key.SEEN: exclude_seen,
        Key.LAST: exclude_seen == "but_last",
        Key.TERMS: options.explain,
        Key.INTERESTS: options.interests or options.explain,
        Key.EVIDENCE: options.explain,
    }
    return [
        Key.LEGS,
        Key.STEER,
        Key.STALE,
        Key.DISLIKED,
        Key.N_EVENTS,
        *(key for key, needed in optional.items() if needed),
    ]


def plan_for(bound: Bound, user: str, stored: StoredUser, options: ListOptions, left_out: LeftOut) -> Steps[Plan]:
    """Plan the list of a user; ``reason`` of the plan says why, where it is one of popular items."""
    filter = all_of(item_filter(bound, options, left_out.items), unmuted(stored.steering))
    plan = plan_list(bound, options, stored.queries(bound), filter)
    if plan is None:
        why = _why_not_personal(user, stored, left_out.disliked)
        return (yield from plan_popular(bound, filter, left_out.disliked, why, only=not stored.legs))
    if any(weight not in {0, 1} for weight in stored.steering.values()):
        return replace(plan, at=lambda depth: steered(plan.at(depth), plan.legs, stored.steering, depth))
    return plan


def _why_not_personal(user: str, stored: StoredUser, disliked: Sequence[str]) -> str:
    if not stored.known:
        return f"there are no events of {user!r} yet"
    if not stored.legs and not stored.stale and disliked:
        return f"{user!r} has only said what to leave out"
    if not stored.legs and not stored.n_events and stored.steering:
        return f"no events of {user!r} are known yet, only muted or boosted topics"
    if not stored.legs:
        return f"the events of {user!r} are not encoded yet"
    return f"{user!r} has no vector for the legs of this list"
