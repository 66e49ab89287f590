"""Finds items similar to an item or to examples, and users similar to a user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from qdrant_client import models

from llmrec_qdrant.contracts.answers import Recommendation, SimilarUser
from llmrec_qdrant.contracts.checks import external_id, several
from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.errors import InvalidInput, NotFound
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.absent import say_absent
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.evidence import run_list
from llmrec_qdrant.operations.plan import Taste, item_filter, plan_list, read_pages
from llmrec_qdrant.operations.remember import remembered
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.users import read_user
from llmrec_qdrant.query import pages, requests, results, sources
from llmrec_qdrant.query.options import ListOptions, check_page
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.space.ids import sparse_index
from llmrec_qdrant.space.layout import COLLAB, DENSE, TFIDF, Key
from llmrec_qdrant.space.points import Point

__all__ = ["recommend_from", "similar_items", "similar_users"]

MIN_WORD = 1e-6
"""Weight of a word, after subtracting the disliked examples, that is no more than rounding."""


@say_absent
def similar_items(bound: Bound, item: str, options: ListOptions) -> Steps[list[Recommendation]]:
    """Return items similar to an item, and items that people take after it.

    Raises :class:`NotFound` for an unknown item.
    """
    return (yield from remembered(bound.memory, partial(_similar_items, bound, external_id(item), options)))


def _similar_items(bound: Bound, item: str, options: ListOptions) -> Steps[list[Recommendation]]:
    examples = yield from _examples(bound, [item])
    if item not in examples:
        raise NotFound(f"item {item!r} is not in space {bound.space.name!r}: check the id, or load the item first")
    queries = [
        LegQuery(leg, bound.item_point(item)) for leg in (DENSE, TFIDF) if leg in examples[item].get(Key.LEGS, [])
    ]
    queries.append(LegQuery(COLLAB, _history(bound, {item: 1.0})))
    plan = plan_list(bound, options, queries, item_filter(bound, options, [item]))
    return (
        (yield from run_list(bound, options, plan, Taste(), sources.examples([item], [], bound.tenant))) if plan else []
    )


@say_absent
def recommend_from(
    bound: Bound, positive: Sequence[str], negative: Sequence[str], options: ListOptions
) -> Steps[list[Recommendation]]:
    """Return items for an anonymous session, from example items; unknown ones are ignored.

    Raises :class:`NotFound` if none of the positive examples is known.
    """
    liked = list(dict.fromkeys(map(external_id, several(positive, "positive"))))
    disliked = [item for item in dict.fromkeys(map(external_id, several(negative, "negative"))) if item not in liked]
    if not liked:
        raise InvalidInput("positive must not be empty: name an item that the list should be like")
    return (yield from remembered(bound.memory, partial(_recommend_from, bound, liked, disliked, options)))


def _recommend_from(
    bound: Bound, liked: Sequence[str], disliked: Sequence[str], options: ListOptions
) -> Steps[list[Recommendation]]:
    """Negative examples subtract in the dense leg. A sparse leg lists overlapping points only, so there they take words away."""
    stored = yield from _examples(bound, [*liked, *disliked], [TFIDF] if disliked else ())
    if not any(item in stored for item in liked):
        raise NotFound(f"none of the items {liked[:5]!r} is in space {bound.space.name!r}: load them first")
    likes, dislikes = ([stored[item] for item in ids if item in stored] for ids in (liked, disliked))
    queries = [
        query
        for leg in (DENSE, TFIDF)
        if (query := (_words if leg == TFIDF and dislikes else _average)(leg, likes, dislikes)) is not None
    ]
    queries.append(LegQuery(COLLAB, _history(bound, dict.fromkeys(liked, 1.0))))
    plan = plan_list(bound, options, queries, item_filter(bound, options, [*liked, *disliked]))
    if plan is None:
        return []
    likes_known, dislikes_known = ([item for item in ids if item in stored] for ids in (liked, disliked))
    known = sources.examples(likes_known, dislikes_known, bound.tenant)
    return (yield from run_list(bound, options, plan, Taste(), known))


def _average(leg: Leg, likes: Sequence[Point], dislikes: Sequence[Point]) -> LegQuery | None:
    """Return a query by the mean of the examples; None if no liked one has the leg."""
    positive, negative = (
        [point.id for point in points if leg in point.get(Key.LEGS, [])] for points in (likes, dislikes)
    )
    examples = models.RecommendInput(positive=list(positive), negative=list(negative))
    return LegQuery(leg, models.RecommendQuery(recommend=examples)) if positive else None


def _words(leg: Leg, likes: Sequence[Point], dislikes: Sequence[Point]) -> LegQuery | None:
    """Return a query by the words that are stronger in the liked examples than in the disliked ones; None without any."""
    total: dict[int, float] = {}
    for points, sign in ((likes, 1.0), (dislikes, -1.0)):
        bags = [bag for point in points if (bag := point.sparse(leg)) is not None]
        for bag in bags:
            for index, value in zip(bag.indices, bag.values, strict=True):
                total[index] = total.get(index, 0.0) + sign * value / len(bags)
    words = {index: value for index, value in sorted(total.items()) if value > MIN_WORD}
    vector = models.SparseVector(indices=list(words), values=list(words.values()))
    return LegQuery(leg, models.NearestQuery(nearest=vector)) if words else None


def similar_users(bound: Bound, user: str, limit: int, offset: int = 0) -> Steps[list[SimilarUser]]:
    """Return users with similar interests and histories.

    Raises :class:`NotFound` for a user without events.
    """
    check_page(offset, limit)
    return (yield from remembered(bound.memory, partial(_similar_users, bound, external_id(user), limit, offset)))


def _similar_users(bound: Bound, user: str, limit: int, offset: int) -> Steps[list[SimilarUser]]:
    stored = yield from read_user(bound, user, [Key.LEGS])
    if not stored.known:
        raise NotFound(
            f"user {user!r} has no events in space {bound.space.name!r}: check the id, or track events first"
        )
    if not stored.legs:
        return []
    legs = [LegQuery(leg, stored.point) for leg in stored.legs]
    others = requests.combined(bound.tenant, None, [stored.point])

    def at(depth: int) -> models.QueryRequest:
        return requests.fused(legs, weights=bound.config.weights, filter=others, limit=limit, depth=depth)

    request = pages.page(at, bound.config.prefetch, offset, limit)
    points = yield from read_pages(bound.space.users, [request])
    return results.users(points[0])


def _examples(bound: Bound, items: Sequence[str], vectors: Sequence[str] = ()) -> Steps[dict[str, Point]]:
    """Return item id → its point with the names of its legs and these vectors, for the items that exist."""
    points = {bound.item_point(item): item for item in items}
    stored = yield from calls.retrieve(bound.space.items, points, [Key.LEGS], vectors or False, remember=True)
    return {points[point.id]: point for point in stored}


def _history(bound: Bound, weights: Mapping[str, float]) -> models.NearestQuery:
    """Return a query of the collab leg from weighted items."""
    indices = [sparse_index(item, bound.tenant) for item in weights]
    return models.NearestQuery(nearest=models.SparseVector(indices=indices, values=list(weights.values())))
