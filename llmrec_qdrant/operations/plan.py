"""Plans a list: which legs the request uses, how it filters, and how the result is re-ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qdrant_client import models

from llmrec_qdrant.contracts.answers import Recommendation
from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.query import requests, rerank, results
from llmrec_qdrant.query.filters import parse_filter
from llmrec_qdrant.query.options import MAX_LIMIT, ListOptions
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.space.points import Point

__all__ = ["Plan", "item_filter", "leg_weights", "plan_list", "run_plan"]


@dataclass(frozen=True)
class Plan:
    """A request, and the legs that it fuses."""

    request: models.QueryRequest
    legs: Sequence[LegQuery] = ()
    filter: models.Filter | None = None
    reason: str = ""
    """Why the list is a fallback, in words; empty if it is not one."""

    @property
    def prefetches(self) -> list[models.Prefetch]:
        """Prefetches that the request fuses."""
        prefetch = self.request.prefetch
        return list(prefetch) if isinstance(prefetch, list) else []

    @property
    def depth(self) -> int:
        """Candidates per leg."""
        return max((prefetch.limit or 0 for prefetch in self.prefetches), default=0)


def leg_weights(bound: Bound, options: ListOptions) -> Mapping[Leg, float]:
    """Return the weight per leg: that of the list, or else that of the space."""
    return bound.config.weights if options.weights is None else options.weights


def item_filter(bound: Bound, options: ListOptions, excluded: Sequence[str] = ()) -> models.Filter | None:
    """Combine tenant, caller's filter and excluded items into one filter."""
    points = bound.item_points((*options.exclude, *excluded))
    return requests.combined(bound.tenant, parse_filter(options.filter, bound.config), points)


def plan_list(
    bound: Bound, options: ListOptions, legs: Sequence[LegQuery], filter: models.Filter | None
) -> Plan | None:
    """Plan a fused request over the legs with a weight above zero; None if there are none."""
    weights = leg_weights(bound, options)
    used = [query for query in legs if weights.get(query.leg, 0) > 0]
    if not used:
        return None
    pool = rerank.CALIBRATION_POOL if options.interests else rerank.MMR_POOL if options.diversity else 1
    request = requests.fused(
        used,
        weights=weights,
        filter=filter,
        limit=max(options.limit, min(options.limit * pool, MAX_LIMIT)),
        depth=bound.config.prefetch,
        with_vector=options.diversity > 0,
    )
    return Plan(request, used, filter)


@dataclass(frozen=True)
class Taste:
    """What is known of the user for re-ranking a list and for its reasons."""

    terms: Sequence[str] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    """Topic → share of the user's attention."""


def run_plan(bound: Bound, options: ListOptions, plan: Plan, taste: Taste = Taste()) -> Steps[list[Recommendation]]:
    """Send the request of a plan and return the list; ``explain`` fetches each leg's own list in the same round trip."""
    explained = plan.legs if options.explain else []
    alone = [requests.alone(query, filter=plan.filter, limit=plan.depth) for query in explained]
    candidates, *per_leg = yield from calls.query(bound.space.items, [plan.request, *alone])
    points = _reordered(candidates, options, taste.shares)
    recommendations = results.recommendations(points, plan.reason)
    if not explained:
        return recommendations
    lists = {query.leg: points for query, points in zip(explained, per_leg, strict=True)}
    return [
        _explained(recommendation, point, lists, taste.terms)
        for recommendation, point in zip(recommendations, points, strict=True)
    ]


def _explained(
    recommendation: Recommendation, point: Point, lists: Mapping[Leg, Sequence[Point]], terms: Sequence[str]
) -> Recommendation:
    scores = results.leg_scores(lists, point.id)
    return recommendation.model_copy(update={"legs": scores, "reason": results.reason(scores, point, terms)})


def _reordered(candidates: Sequence[Point], options: ListOptions, shares: Mapping[str, float]) -> Sequence[Point]:
    points = candidates
    if options.diversity:
        points = rerank.diversify(points, options.diversity, len(points) if options.interests else options.limit)
    if options.interests:
        points = rerank.calibrate(points, shares, options.limit)
    return points
