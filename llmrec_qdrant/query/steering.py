"""Applies a user's steering to requests: topics that count more, less or not at all. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qdrant_client import models

from llmrec_qdrant.query.pages import everything, prefetches
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.space.conditions import equals, none_of, one_of, where
from llmrec_qdrant.space.layout import Key

__all__ = ["steered", "unmuted"]


def steered(
    request: models.QueryRequest,
    legs: Sequence[LegQuery],
    steering: Mapping[str, float],
    depth: int,
) -> models.QueryRequest:
    """Change a fused request so that topics count more or less; :func:`unmuted` removes muted topics (weight 0).

    Weight above 1: the prefetches are repeated within the topic, ``round(weight) - 1`` times but at least once, just as
    the weight of a leg repeats its prefetch. Weight below 1: the fused score of the topic's items is multiplied by it.
    """
    prefetch = prefetches(request)
    for topic, weight in steering.items():
        if weight > 1:
            inside = where(one_of(Key.TOPIC_IDS, [topic]))
            prefetch += [query.prefetch(depth, (), inside) for query in legs for _ in range(max(1, round(weight) - 1))]
    lowered = {topic: weight for topic, weight in steering.items() if 0 < weight < 1}
    if not lowered:
        return request.model_copy(update={"prefetch": prefetch})
    inner = models.Prefetch(prefetch=prefetch, query=request.query, limit=everything(prefetch))
    return request.model_copy(update={"prefetch": [inner], "query": models.FormulaQuery(formula=_lowered(lowered))})


def _lowered(steering: Mapping[str, float]) -> models.MultExpression:
    """Multiply the fused score by the weight of the item's topic."""
    parts: list[models.Expression] = [1.0]
    parts += [
        models.MultExpression(mult=[weight - 1.0, equals(Key.TOPIC_IDS, topic)]) for topic, weight in steering.items()
    ]
    return models.MultExpression(mult=["$score", models.SumExpression(sum=parts)])


def unmuted(steering: Mapping[str, float]) -> models.Filter | None:
    """Return a filter that excludes the items of muted topics (weight 0); None if none is muted."""
    muted = [topic for topic, weight in steering.items() if weight == 0]
    return none_of(one_of(Key.TOPIC_IDS, muted)) if muted else None
