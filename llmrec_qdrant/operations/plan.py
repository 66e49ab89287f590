"""Plans a list: which legs the request uses, how it filters, and how the result is re-ranked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from qdrant_client import models

from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.query import pages, requests, rerank
from llmrec_qdrant.query.filters import parse_filter
from llmrec_qdrant.query.options import MAX_LIMIT, ListOptions
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.space.layout import DENSE
from llmrec_qdrant.space.points import Point

__all__ = [
    "Plan",
    "Taste",
    "depths_of",
    "item_filter",
    "leg_weights",
    "plan_list",
    "read_pages",
    "read_ranked",
]

FLOORS: Mapping[Leg, float] = {DENSE: 1e-6}
"""Score per leg below which nothing speaks for an item. Sparse legs list overlap only.

A cosine that means nothing depends on the encoder, and a higher floor would change the fused scores of what it leaves.
"""


@dataclass(frozen=True)
class Plan:
    """A list, and the legs that it fuses."""

    at: Callable[[int], models.QueryRequest]
    """Candidates per leg → the request that fuses them."""
    depth: int
    """Candidates per leg of a short list."""
    legs: Sequence[LegQuery] = ()
    filter: models.Filter | None = None
    reason: str = ""
    """Why the list is a fallback, in words; empty if it is not one."""

    def page(self, offset: int, limit: int) -> models.QueryRequest:
        """Return the request for ``limit`` items from ``offset``."""
        return pages.page(self.at, self.depth, offset, limit)


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
    used = [replace(query, floor=FLOORS.get(query.leg)) for query in legs if weights.get(query.leg, 0) > 0]
    if not used:
        return None

    def at(depth: int) -> models.QueryRequest:
        return requests.fused(
            used, weights=weights, filter=filter, limit=options.limit, depth=depth, with_vector=options.diversity > 0
        )

    return Plan(at, bound.config.prefetch, used, filter)


@dataclass(frozen=True)
class Taste:
    """What is known of the user, or of the text, for re-ranking a list and for its reasons."""

    terms: Sequence[str] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    """Topic → share of the user's attention."""
    steering: Mapping[str, float] = field(default_factory=dict)
    """Topic → weight, as the user set it."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Topic → name of the user's interest in it."""


def _pool(options: ListOptions) -> int:
    """Return the candidates per item that are re-ranked; 0: none."""
    return rerank.CALIBRATION_POOL if options.interests else rerank.MMR_POOL if options.diversity else 0


def _read_part(options: ListOptions) -> tuple[int, int]:
    """Return offset and limit of what is read for a list."""
    pool = _pool(options)
    if not pool:
        return options.offset, options.limit
    return 0, min(rerank.candidates(options.offset + options.limit, pool), MAX_LIMIT)


def depths_of(options: ListOptions, plan: Plan) -> list[int]:
    """Return the numbers of candidates per leg that the items of a list may come from, in the order in which they are looked for."""
    return sorted({plan.depth, pages.reach(plan.depth, sum(_read_part(options)))})


def read_ranked(
    bound: Bound, options: ListOptions, plan: Plan, taste: Taste, beside: Sequence[models.QueryRequest] = ()
) -> Steps[tuple[list[Point], list[list[Point]]]]:
    """Return the points of a list, re-ranked where the options ask for it, and those of the requests ``beside``."""
    points, *others = yield from read_pages(bound.space.items, [plan.page(*_read_part(options))], beside)
    if pool := _pool(options):
        shares = taste.shares if options.interests else None
        end = options.offset + options.limit
        points = rerank.reranked(points, end, pool, options.diversity, shares)[options.offset :]
    return points, others


def read_pages(
    collection: str, requests: Sequence[models.QueryRequest], beside: Sequence[models.QueryRequest] = ()
) -> Steps[list[list[Point]]]:
    """Return the points of pages in a stable order, and those of the requests ``beside``; nearly always in one round trip."""
    asked = [pages.Page(request) for request in requests]
    answers = yield from calls.query(collection, [*(page.with_neighbours for page in asked), *beside])
    torn = [position for position, page in enumerate(asked) if page.is_torn(answers[position])]
    cut = [page.cut(points) for page, points in zip(asked, answers, strict=False)]
    if torn:
        whole = yield from calls.query(collection, [asked[position].whole for position in torn])
        for position, points in zip(torn, whole, strict=True):
            cut[position] = asked[position].cut(points, whole=True)
    return [*cut, *answers[len(asked) :]]
