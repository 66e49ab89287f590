"""Computes a list from the answers to its parts, as Qdrant does from the parts of one request. Pure.

A Qdrant in strict mode lets no part of a request propose more than some number of candidates. The parts alone can be read page by
page, so a list that needs more of them is put together here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qdrant_client import models

from llmrec_qdrant.errors import QdrantRefused, show
from llmrec_qdrant.query.dbsf import normalised
from llmrec_qdrant.query.requests import Request
from llmrec_qdrant.space.conditions import all_of, has_id, where

__all__ = ["Scores", "combined", "is_combined", "payload_keys", "single"]

Scores = Mapping[str, float]
"""Point id → score, best first."""

Part = models.QueryRequest | models.Prefetch


def is_combined(part: Part) -> bool:
    """Whether the scores of a part follow from those of its prefetches; otherwise Qdrant is asked."""
    return isinstance(part.query, models.FusionQuery | models.FormulaQuery)


def single(part: Part, filter: models.Filter | None, among: Sequence[str] | None = None) -> models.QueryRequest:
    """Return the request for a part that is not combined: ids and scores; ``among``: the candidates that its prefetches propose."""
    candidates = None if among is None else where(has_id(*among))
    return Request(
        query=part.query,
        using=part.using,
        lookup_from=part.lookup_from,
        score_threshold=part.score_threshold,
        filter=all_of(filter, part.filter, candidates),
        limit=part.limit if among is None else min(part.limit or 10, len(among)),
        with_payload=False,
    )


def combined(part: Part, lists: Sequence[Scores], payloads: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return the scores of a combined part from those of its prefetches; equal scores are ordered by id.

    ``payloads``: point id → flat payload, with the keys that :func:`payload_keys` names.
    """
    scores = _fused(lists) if isinstance(part.query, models.FusionQuery) else _computed(part.query, lists, payloads)
    ordered = sorted(scores.items(), key=lambda entry: (-entry[1], entry[0]))
    end = len(ordered) if part.limit is None else (getattr(part, "offset", None) or 0) + part.limit
    return dict(ordered[:end])


def _fused(lists: Sequence[Scores]) -> dict[str, float]:
    """Return the sum of the scores, normalised per list (DBSF)."""
    total: dict[str, float] = {}
    for scores in lists:
        for point, value in zip(scores, normalised(list(scores.values())).tolist(), strict=True):
            total[point] = total.get(point, 0.0) + value
    return total


# --- formulas -------------------------------------------------------------------------------------


def payload_keys(part: Part) -> set[str]:
    """Return the payload keys that the formula of a part reads."""
    return set(_keys(part.query.formula)) if isinstance(part.query, models.FormulaQuery) else set()


def _keys(expression: Any) -> Iterator[str]:
    match expression:
        case str() if not expression.startswith("$score"):
            yield expression
        case models.FieldCondition(key=key):
            yield key
        case _:
            for inner in _operands(expression):
                yield from _keys(inner)


def _operands(expression: Any) -> Sequence[Any]:
    match expression:
        case models.SumExpression(sum=parts) | models.MultExpression(mult=parts):
            return list(parts)
        case models.NegExpression(neg=inner) | models.AbsExpression(abs=inner) | models.ExpExpression(exp=inner):
            return [inner]
        case models.GaussDecayExpression(gauss_decay=decay):
            return [decay.x, decay.target]
    return []


def _computed(query: Any, lists: Sequence[Scores], payloads: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    defaults = query.defaults or {}
    points = dict.fromkeys(point for scores in lists for point in scores)
    return {
        point: _value(
            query.formula, _Variables([scores.get(point) for scores in lists], payloads.get(point, {}), defaults)
        )
        for point in points
    }


class _Variables:
    """What a formula knows of one point."""

    def __init__(self, scores: Sequence[float | None], payload: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        named = {f"$score[{place}]": score for place, score in enumerate(scores)}
        first = {"$score": scores[0]} if scores else {}
        self.payload = payload
        self._values = {**payload, **first, **named}
        self._defaults = defaults

    def __getitem__(self, name: str) -> float:
        value = self._values.get(name)
        return float(self._defaults.get(name, 0.0) if value is None else value)


def _value(expression: Any, variables: _Variables) -> float:
    values = [_value(inner, variables) for inner in _operands(expression)]
    match expression:
        case int() | float():
            return float(expression)
        case str():
            return variables[expression]
        case models.SumExpression():
            return sum(values)
        case models.MultExpression():
            return math.prod(values)
        case models.NegExpression():
            return -values[0]
        case models.AbsExpression():
            return abs(values[0])
        case models.ExpExpression():
            return math.exp(min(values[0], 700.0))
        case models.GaussDecayExpression(gauss_decay=decay):
            steepness = -math.log(decay.midpoint or 0.5) / (decay.scale or 1.0) ** 2
            return math.exp(-steepness * (values[0] - values[1]) ** 2)
        case models.FieldCondition(match=models.MatchValue(value=value)):
            stored = variables.payload.get(expression.key)
            return float(value in stored if isinstance(stored, list) else value == stored)
    raise QdrantRefused(f"a list of several requests cannot use the formula {show(expression)}")
