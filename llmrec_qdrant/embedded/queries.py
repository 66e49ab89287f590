"""Query requests: models of the Qdrant client → objects of Qdrant Edge.

A Qdrant server looks vectors up in other collections; Qdrant Edge knows one collection only, so ids in a request are
replaced here by the vectors that ``look_up`` finds. Otherwise pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import qdrant_edge as edge
from qdrant_client import models

from llmrec_qdrant.embedded.conditions import edge_condition, edge_filter
from llmrec_qdrant.embedded.points import edge_vector, payload_selector
from llmrec_qdrant.errors import InvalidInput, NotFound, show

__all__ = ["LookUp", "Translator"]

LookUp = Callable[[str | None, Any, str], Any]
"""Collection (None: the one that is asked), point id, vector name → vector, None if the point has none of that name.

Raises :class:`NotFound` for a missing point.
"""


class Translator:
    """Translates requests to one collection."""

    def __init__(self, look_up: LookUp) -> None:
        self._look_up = look_up

    def request(self, request: models.QueryRequest) -> edge.QueryRequest:
        """A whole request."""
        return edge.QueryRequest(
            limit=10 if request.limit is None else request.limit,
            offset=request.offset or 0,
            query=self._query(request.query, request.using, request.lookup_from),
            prefetches=self._prefetches(request.prefetch),
            filter=edge_filter(_with_exclusions(request)),
            score_threshold=request.score_threshold,
            with_payload=payload_selector(request.with_payload),
            with_vector=request.with_vector or False,
        )

    def _prefetches(self, prefetch: Any) -> list[edge.Prefetch]:
        if prefetch is None:
            return []
        return [self._prefetch(part) for part in (prefetch if isinstance(prefetch, list) else [prefetch])]

    def _prefetch(self, prefetch: models.Prefetch) -> edge.Prefetch:
        return edge.Prefetch(
            limit=10 if prefetch.limit is None else prefetch.limit,
            query=self._query(prefetch.query, prefetch.using, prefetch.lookup_from),
            prefetches=self._prefetches(prefetch.prefetch),
            filter=edge_filter(_with_exclusions(prefetch)),
            score_threshold=prefetch.score_threshold,
        )

    def _query(self, query: Any, using: str | None, lookup: models.LookupLocation | None) -> Any:
        match query:
            case None:
                return None
            case models.FusionQuery(fusion=models.Fusion.DBSF):
                return edge.Fusion.Dbsf()
            case models.FusionQuery():
                return edge.Fusion.Rrf(k=2)
            case models.RrfQuery():
                return edge.Fusion.Rrf(k=query.rrf.k or 2)
            case models.OrderByQuery():
                return _order_by(query.order_by)
            case models.SampleQuery():
                return edge.Sample.Random
            case models.FormulaQuery():
                return edge.Formula(_expression(query.formula), query.defaults or {})
            case models.RecommendQuery():
                return self._recommend(query.recommend, using or "", lookup)
            case models.NearestQuery():
                return edge.Query.Nearest(self._vector(query.nearest, using or "", lookup), using=using)
        return edge.Query.Nearest(self._vector(query, using or "", lookup), using=using)

    def _vector(self, query: Any, using: str, lookup: models.LookupLocation | None) -> Any:
        if not isinstance(query, str | int):
            return edge_vector(query)
        name = (lookup.vector if lookup else None) or using
        vector = self._look_up(lookup.collection if lookup else None, query, name)
        if vector is None:
            raise NotFound(f"point {query!r} has no vector {name!r}")
        return vector

    def _recommend(self, wish: models.RecommendInput, using: str, lookup: models.LookupLocation | None) -> edge.Query:
        """Examples → one query: their average (the default of Qdrant), or the best or summed score over all."""
        likes, dislikes = (
            [self._vector(example, using, lookup) for example in examples or []]
            for examples in (wish.positive, wish.negative)
        )
        if wish.strategy in {None, models.RecommendStrategy.AVERAGE_VECTOR}:
            return edge.Query.Nearest(_average(likes, dislikes), using=using)
        examples = edge.RecommendQuery(likes, dislikes)
        if wish.strategy == models.RecommendStrategy.BEST_SCORE:
            return edge.Query.RecommendBestScore(examples, using=using)
        return edge.Query.RecommendSumScores(examples, using=using)


def _with_exclusions(part: models.QueryRequest | models.Prefetch) -> models.Filter | None:
    """The filter of a request; a point that is itself an example of the same collection is not part of the answer."""
    if part.lookup_from is not None:
        return part.filter
    examples = [example for example in _examples(part.query) if isinstance(example, str | int)]
    if not examples:
        return part.filter
    own = models.Filter(must_not=[models.HasIdCondition(has_id=examples)])
    return own if part.filter is None else models.Filter(must=[part.filter, own])


def _examples(query: Any) -> Iterable[Any]:
    match query:
        case models.NearestQuery():
            return [query.nearest]
        case models.RecommendQuery():
            return [*(query.recommend.positive or []), *(query.recommend.negative or [])]
    return [query]


def _average(likes: Sequence[Any], dislikes: Sequence[Any]) -> Any:
    """``mean(likes)``, and with dislikes ``2·mean(likes) - mean(dislikes)``, as a Qdrant server computes it."""
    if not likes:
        raise InvalidInput("a recommendation by average vectors needs a positive example")
    if isinstance(likes[0], edge.SparseVector):
        parts = [(likes, 2.0 if dislikes else 1.0), *([(dislikes, -1.0)] if dislikes else [])]
        total: dict[int, float] = {}
        for vectors, sign in parts:
            for vector in vectors:
                for index, value in zip(vector.indices, vector.values, strict=True):
                    total[index] = total.get(index, 0.0) + sign * value / len(vectors)
        return edge.SparseVector(list(total), list(total.values()))
    mean = np.mean(np.asarray(likes, dtype=np.float64), axis=0)
    if dislikes:
        mean = 2 * mean - np.mean(np.asarray(dislikes, dtype=np.float64), axis=0)
    return [float(value) for value in mean]


def _order_by(order: Any) -> edge.OrderBy:
    if isinstance(order, str):
        return edge.OrderBy(order)
    direction = {models.Direction.ASC: edge.Direction.Asc, models.Direction.DESC: edge.Direction.Desc}
    return edge.OrderBy(order.key, direction[order.direction or models.Direction.ASC], order.start_from)


def _expression(expression: Any) -> edge.Expression:
    match expression:
        case int() | float():
            return edge.Expression.Constant(float(expression))
        case str():
            return edge.Expression.Variable(expression)
        case models.SumExpression():
            return edge.Expression.Sum([_expression(part) for part in expression.sum])
        case models.MultExpression():
            return edge.Expression.Mult([_expression(part) for part in expression.mult])
        case models.GaussDecayExpression(gauss_decay=decay):
            x, target = _expression(decay.x), _expression(decay.target)
            return edge.Expression.Decay(edge.DecayKind.Gauss, x, target, decay.midpoint, decay.scale)
        case models.AbsExpression():
            return edge.Expression.Abs(_expression(expression.abs))
        case models.ExpExpression():
            return edge.Expression.Exp(_expression(expression.exp))
        case models.NegExpression():
            return edge.Expression.Neg(_expression(expression.neg))
        case models.FieldCondition() | models.Filter() | models.HasIdCondition():
            return edge.Expression.Condition(edge_condition(expression))
    raise InvalidInput(f"embedded Qdrant does not support the formula {show(expression)}: use a Qdrant server for it")
