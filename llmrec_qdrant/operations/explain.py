"""Explains one item for one user: what its score is made of, and where an item that is not listed falls out."""

from __future__ import annotations

from llmrec_qdrant.contracts.answers import Seen
from llmrec_qdrant.contracts.checks import external_id
from llmrec_qdrant.contracts.evidence import Evidence, WhyNot
from llmrec_qdrant.errors import NotFound
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.counterfactual import fewest
from llmrec_qdrant.operations.evidence import Scored, carried, known_of, terms_at
from llmrec_qdrant.operations.followers import with_followers
from llmrec_qdrant.operations.left_out import read_left_out
from llmrec_qdrant.operations.plan import Plan, read_pages
from llmrec_qdrant.operations.recommend import plan_for, taste_of
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.users import ALL_KEYS, StoredUser, read_user
from llmrec_qdrant.query.dbsf import parts_of
from llmrec_qdrant.query.filters import parse_filter
from llmrec_qdrant.query.options import MAX_LIMIT, ListOptions, check_seen
from llmrec_qdrant.query.sources import of_user
from llmrec_qdrant.query.told import evidence_of
from llmrec_qdrant.space.conditions import all_of, has_id, where
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point

__all__ = ["KEYS", "evidence_alone", "explain", "why_not"]

KEYS = (*ALL_KEYS, Key.N_EVENTS, Key.EVIDENCE)


def explain(bound: Bound, user: str, item: str, options: ListOptions, exclude_seen: Seen) -> Steps[Evidence]:
    """Return the evidence of an item for a user, whether or not it is among the first ``options.limit``.

    Raises :class:`NotFound`, with the reason, for an item that no leg proposes to the user.
    """
    check_seen(exclude_seen)
    user, item = external_id(user), external_id(item)
    stored = yield from read_user(bound, user, KEYS)
    left_out = yield from read_left_out(bound, user, stored, exclude_seen)
    plan = yield from plan_for(bound, user, stored, options, left_out)
    about = bound.item_point(item)
    points, scored = yield from _scored(bound, plan, options.limit, about)
    if scored is None:
        missed = yield from why_not(bound, user, item, options, exclude_seen)
        seen = missed.stage == "already_seen"
        instead = "; explained all the same with --include-seen or exclude_seen=False" if seen else ""
        raise NotFound(f"item {item!r} has no evidence for {user!r}: {missed.reason}{instead}")
    listed = any(point.id == about for point in points)
    told = yield from _evidence(bound, stored, about, scored)
    told = yield from with_followers(bound, item, told)
    without = (yield from fewest(bound, options, plan, stored, about, told)) if listed else None
    return told.model_copy(update={"listed": listed, "without": without})


def evidence_alone(bound: Bound, user: str, stored: StoredUser, item: str) -> Steps[Evidence]:
    """Return the evidence of an item in the user's default list, or, of a seen item, in a list with seen items.

    No follower is counted and no counterfactual looked for; empty if no leg proposes the item. ``stored`` needs ``KEYS``.
    """
    options, about = ListOptions(), bound.item_point(item)
    left_out = yield from read_left_out(bound, user, stored, item not in stored.seen)
    plan = yield from plan_for(bound, user, stored, options, left_out)
    _, scored = yield from _scored(bound, plan, options.limit, about)
    if scored is None:
        return Evidence(score=0.0)
    return (yield from _evidence(bound, stored, about, scored))


def _scored(bound: Bound, plan: Plan, limit: int, about: str) -> Steps[tuple[list[Point], Scored | None]]:
    """Return the list of a plan, and what makes the score of one item; None if no leg proposes it."""
    parts = [] if plan.reason else parts_of(plan.at(plan.depth))
    alone = [part.alone(plan.filter) for part in parts]
    points, *lists = yield from read_pages(bound.space.items, [plan.page(0, limit)], alone)
    return points, terms_at(plan, [plan.depth], [parts], lists, {about}).get(about)


def _evidence(bound: Bound, stored: StoredUser, about: str, scored: Scored) -> Steps[Evidence]:
    sources = of_user(stored.evidence, bound.config, bound.tenant)
    carriers = yield from carried(bound, {about: scored}, sources)
    points = yield from calls.retrieve(bound.space.items, [about], [Key.TOPIC_IDS, Key.TERMS])
    point = points[0] if points else Point(about)
    known = known_of(bound, taste_of(stored))
    return evidence_of(point, scored.terms, scored.behind, carriers, sources, known)


def why_not(bound: Bound, user: str, item: str, options: ListOptions, exclude_seen: Seen) -> Steps[WhyNot]:
    """Return where an item falls out of the list of a user."""
    check_seen(exclude_seen)
    user, item = external_id(user), external_id(item)
    about = bound.item_point(item)
    points = yield from calls.retrieve(bound.space.items, [about], [Key.LEGS, Key.TOPIC_IDS])
    if not points:
        return WhyNot(item=item, stage="unknown", reason=f"there is no item {item!r} in space {bound.space.name!r}")
    if item in options.exclude:
        return WhyNot(item=item, stage="excluded", reason="the call excludes it")
    if not (yield from _passes(bound, about, options)):
        return WhyNot(item=item, stage="filter", reason="the filter of the call does not match it")
    stored = yield from read_user(bound, user, KEYS)
    left_out = yield from read_left_out(bound, user, stored, exclude_seen)
    if item in left_out.disliked:
        return WhyNot(item=item, stage="unwanted", reason=f"{user!r} disliked it, rated it low or gave it back")
    if item in left_out.items:
        return WhyNot(item=item, stage="already_seen", reason=f"{user!r} has seen it")
    muted = [topic for topic in points[0].get(Key.TOPIC_IDS, []) if stored.steering.get(topic) == 0]
    if muted:
        return WhyNot(item=item, stage="muted", reason=f"{user!r} muted its topic {muted[0]!r}")
    plan = yield from plan_for(bound, user, stored, options, left_out)
    return (yield from _by_rank(bound, item, points[0], options, plan))


def _passes(bound: Bound, about: str, options: ListOptions) -> Steps[bool]:
    filter = all_of(bound.mine, parse_filter(options.filter, bound.config), where(has_id(about)))
    points, _ = yield from calls.scroll(bound.space.items, filter, limit=1, payload=False)
    return bool(points)


def _by_rank(bound: Bound, item: str, point: Point, options: ListOptions, plan: Plan) -> Steps[WhyNot]:
    (points,) = yield from read_pages(bound.space.items, [plan.page(0, MAX_LIMIT)])
    rank = next((place for place, listed in enumerate(points, start=1) if listed.id == point.id), None)
    first, end = options.offset + 1, options.offset + options.limit
    if rank is not None and first <= rank <= end:
        return WhyNot(item=item, stage="listed", reason=f"it is listed: rank {rank}", rank=rank)
    if plan.reason:
        return WhyNot(item=item, stage="fallback", reason=f"the list is not personal ({plan.reason})", rank=rank)
    if rank is not None:
        return WhyNot(item=item, stage="rank", reason=f"rank {rank:,}; the list has ranks {first} to {end}", rank=rank)
    if not point.get(Key.LEGS):
        return WhyNot(item=item, stage="not_encoded", reason="it is not encoded yet, or has no text")
    return WhyNot(item=item, stage="no_leg", reason=f"no leg has it among its first {MAX_LIMIT:,} candidates")
