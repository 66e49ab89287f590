"""TODO: llmrec_qdrant.operations.similar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qdrant_client import models

from llmrec_qdrant.contracts.answers import Recommendation, SimilarUser
from llmrec_qdrant.errors import InvalidInput, NotFound
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.lists import Ask, _checked, _filter, _plan, _run
from llmrec_qdrant.operations.personal import _look_up
from llmrec_qdrant.operations.steps import Steps, call
from llmrec_qdrant.query import requests, results
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.space.ids import point_id, sparse_index
from llmrec_qdrant.space.layout import COLLAB, DENSE, TFIDF, Key

__all__ = ["recommend_from", "similar_items", "similar_users"]


def _known_items(bound: Bound, ids: Sequence[str]) -> Steps[dict[str, list[str]]]:
    """External id → its legs, of the items that exist."""
    if not ids:
        return {}
    points = {point_id("item", one, bound.tenant): one for one in ids}
    found = yield from call("retrieve", collection_name=bound.space.items, ids=list(points), with_payload=[Key.LEGS])
    return {points[str(record.id)]: (record.payload or {}).get(Key.LEGS) or [] for record in found}


def recommend_from(
    bound: Bound, positive: Sequence[str], negative: Sequence[str], ask: Ask
) -> Steps[list[Recommendation]]:
    """Items for an anonymous session, from examples. Unknown examples are passed over.

    Raises :class:`NotFound` if none of the positive examples is known.
    """
    _checked(ask)
    if isinstance(positive, str) or isinstance(negative, str) or not positive:
        raise InvalidInput("positive and negative are lists of item ids, and positive must not be empty")
    liked = list(dict.fromkeys(positive))
    disliked = [one for one in dict.fromkeys(negative) if one not in liked]
    known = yield from _known_items(bound, [*liked, *disliked])
    if not any(one in known for one in liked):
        raise NotFound(f"none of the items {liked[:5]!r} is in space {bound.space.name!r}: load them first")
    legs: list[LegQuery] = []
    for leg in (DENSE, TFIDF):
        examples = [
            [point_id("item", one, bound.tenant) for one in ids if leg in known.get(one, [])]
            for ids in (liked, disliked)
        ]
        if examples[0]:
            wish = models.RecommendInput(positive=list(examples[0]), negative=list(examples[1]))
            legs.append(LegQuery(leg, models.RecommendQuery(recommend=wish)))
    history = dict.fromkeys(liked, 1.0) | dict.fromkeys(disliked, -1.0)
    legs.append(LegQuery(COLLAB, _history(bound, history)))
    plan = _plan(bound, ask, legs, _filter(bound, ask, [*liked, *disliked]))
    return (yield from _run(bound, ask, plan)) if plan else []


def _history(bound: Bound, weights: Mapping[str, float]) -> models.NearestQuery:
    """Items with weights as a query of the collab leg."""
    vector = models.SparseVector(
        indices=[sparse_index(one, bound.tenant) for one in weights], values=list(weights.values())
    )
    return models.NearestQuery(nearest=vector)


def similar_items(bound: Bound, item: str, ask: Ask) -> Steps[list[Recommendation]]:
    """Items like this one, and items that people go on to.

    Raises :class:`NotFound` for an unknown item.
    """
    _checked(ask)
    known = yield from _known_items(bound, [item])
    if item not in known:
        raise NotFound(f"item {item!r} is not in space {bound.space.name!r}: check the id, or load it first")
    point = point_id("item", item, bound.tenant)
    legs = [LegQuery(leg, point) for leg in (DENSE, TFIDF) if leg in known[item]]
    legs.append(LegQuery(COLLAB, _history(bound, {item: 1.0})))
    plan = _plan(bound, ask, legs, _filter(bound, ask, [item]))
    return (yield from _run(bound, ask, plan)) if plan else []


def similar_users(bound: Bound, user: str, limit: int) -> Steps[list[SimilarUser]]:
    """Users with like interests and histories.

    Raises :class:`NotFound` for a user without events.
    """
    requests.check_limit(limit)
    who = yield from _look_up(bound, user)
    if not who.known:
        raise NotFound(f"user {user!r} has no events in space {bound.space.name!r}: check the id, or track some first")
    filter = requests.combined(bound.tenant, None, [who.point])
    legs = [LegQuery(leg, who.point) for leg in who.legs]
    if not legs:
        return []
    request = requests.fused(
        legs, weights=bound.config.weights, filter=filter, limit=limit, depth=bound.config.prefetch
    )
    answers = yield from call("query_batch_points", collection_name=bound.space.users, requests=[request])
    return results.users(answers[0].points)
