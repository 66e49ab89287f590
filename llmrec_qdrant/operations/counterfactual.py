"""Looks for the fewest items of a user without which another item would leave the list.

The user's vectors are folded again without them, as a refresh would after deleting the events about them; then the list is asked
for again. Sets are tried in the order of what their items contribute, and no item stays in the set that it does not need.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from qdrant_client import models

from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.contracts.evidence import Evidence
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.plan import Plan, plan_list
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.users import StoredUser
from llmrec_qdrant.query.folding import MAX_TFIDF_ENTRIES, MIN_TFIDF_ENTRY, as_sparse, summed
from llmrec_qdrant.query.options import ListOptions
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.query.sources import Sources, of_user
from llmrec_qdrant.query.steering import steered
from llmrec_qdrant.space.layout import COLLAB, DENSE, TFIDF
from llmrec_qdrant.space.points import Point

__all__ = ["fewest"]

MAX_WITHOUT = 10
"""Items in the largest set that is tried."""


def fewest(
    bound: Bound, options: ListOptions, plan: Plan, stored: StoredUser, about: str, told: Evidence
) -> Steps[list[str] | None]:
    """Return the smallest set found, strongest item first; None if none was, or if a leg cannot be folded here."""
    sources = of_user(stored.evidence, bound.config, bound.tenant)
    if not {query.leg for query in plan.legs} <= sources.linear:
        return None
    order = _strongest(told)[:MAX_WITHOUT]
    points = yield from _vectors(bound, sources)
    prefixes = [order[: size + 1] for size in range(len(order))]
    gone = yield from _gone(bound, options, plan, stored, about, points, prefixes)
    without = next((prefix for prefix, left in zip(prefixes, gone, strict=True) if left), None)
    while without is not None and len(without) > 1:
        smaller = [[item for item in without if item != other] for other in reversed(without)]
        gone = yield from _gone(bound, options, plan, stored, about, points, smaller)
        less = next((some for some, left in zip(smaller, gone, strict=True) if left), None)
        if less is None:
            break
        without = less
    return without


def _strongest(told: Evidence) -> list[str]:
    """Return the items that contribute to the score, strongest first."""
    total: dict[str, float] = {}
    for leg in told.legs:
        for event in leg.events:
            if event.item is not None:
                total[event.item] = total.get(event.item, 0.0) + event.contribution
    return sorted((item for item, value in total.items() if value > 0), key=lambda item: (-total[item], item))


def _vectors(bound: Bound, sources: Sources) -> Steps[dict[str, Point]]:
    items = [source.point for source in sources.all if source.item is not None]
    texts = [source.point for source in sources.all if source.item is None]
    points = yield from calls.retrieve(bound.space.items, items, False, [DENSE, TFIDF])
    words = yield from calls.retrieve(bound.space.texts, texts, False, [DENSE, TFIDF])
    return {point.id: point for point in (*points, *words)}


def _gone(
    bound: Bound,
    options: ListOptions,
    plan: Plan,
    stored: StoredUser,
    about: str,
    points: dict[str, Point],
    sets: Sequence[Collection[str]],
) -> Steps[list[bool]]:
    """Return for each set whether the item is not in the list without it; all lists in one round trip."""
    asked: list[models.QueryRequest | None] = []
    for some in sets:
        sources = of_user(stored.evidence, bound.config, bound.tenant, without=some)
        asked.append(_request(bound, options, plan, stored, _legs(bound, sources, points)))
    lists = yield from calls.query(bound.space.items, [request for request in asked if request is not None])
    answers = iter(lists)
    return [request is None or all(point.id != about for point in next(answers)) for request in asked]


def _request(
    bound: Bound, options: ListOptions, plan: Plan, stored: StoredUser, legs: Sequence[LegQuery]
) -> models.QueryRequest | None:
    """Return the request for the list of these legs; None where nothing is left to ask with."""
    again = plan_list(bound, options, legs, plan.filter)
    if again is None:
        return None
    if any(weight not in {0, 1} for weight in stored.steering.values()):
        fused = again.at
        used = again.legs
        again = replace(again, at=lambda depth: steered(fused(depth), used, stored.steering, depth))
    return again.page(options.offset, options.limit)


def _legs(bound: Bound, sources: Sources, points: dict[str, Point]) -> list[LegQuery]:
    """Fold the legs of a user from sources, as a refresh does."""
    if not any(source.weights.get(DENSE, 0) > 0 or source.weights.get(TFIDF, 0) > 0 for source in sources.all):
        return []
    total = np.zeros(bound.config.size)
    bags, items = [], []
    for source in sources.all:
        point = points.get(source.point, Point(source.point))
        row, bag = point.dense(DENSE), point.sparse(TFIDF)
        total += source.weights.get(DENSE, 0.0) * np.asarray(row) if row is not None else 0.0
        if bag is not None:
            bags.append((dict(zip(bag.indices, bag.values, strict=True)), source.weights.get(TFIDF, 0.0)))
        if source.item is not None:
            items.append(({source.index: 1.0}, source.weights.get(COLLAB, 0.0)))
    words = as_sparse(summed(bags), MAX_TFIDF_ENTRIES, MIN_TFIDF_ENTRY)
    follow = as_sparse(summed(items), bound.config.history)
    dense = [float(value) for value in total] if np.linalg.norm(total) > 1e-9 else None
    vectors: dict[Leg, Any] = {DENSE: dense, TFIDF: words, COLLAB: follow}
    return [LegQuery(leg, models.NearestQuery(nearest=vector)) for leg, vector in vectors.items() if vector is not None]
