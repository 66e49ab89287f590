"""Intent → Query API request → result. Pure: no I/O, so sync, async and any other language agree.

Every list of items is one request of this shape: one prefetch per leg, fused by distribution-based
score fusion (DBSF, Qdrant 1.11), which normalises each leg's scores by their mean and three standard
deviations and adds them up. A leg's weight is how often its prefetch is named: exact on every server.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qdrant_client import models

from llmrec_qdrant.contracts import LEGS, Leg, Recommendation, Seen, SimilarUser, show
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.filters import all_of
from llmrec_qdrant.layout import DENSE, ITEM_HEAVY, ITEM_INTERNAL, Key

__all__ = [
    "LegQuery", "alone", "as_json", "check_limit", "check_seen", "combined", "diversify", "exclusion", "fused", "left_out", "leg_scores", "multiplicities",
    "recommendations", "steered", "tenant_filter", "top", "unmuted", "users",
]  # fmt: skip

MAX_LIMIT = 1_000
MOST = 6
"""Times that one request names a leg."""
MMR_POOL = 5
"""Candidates per wanted item when a list is diversified."""


@dataclass(frozen=True)
class LegQuery:
    """What one leg is asked: a vector, or the id of a point in ``lookup`` whose vector it is."""

    leg: Leg
    query: Any
    lookup: str | None = None

    def prefetch(
        self, filter: models.Filter | None, limit: int, inner: Sequence[models.Prefetch] = ()
    ) -> models.Prefetch:
        """This leg as a prefetch, over the whole collection or over ``inner`` candidates."""
        return models.Prefetch(
            query=self.query if not isinstance(self.query, str) else models.NearestQuery(nearest=self.query),
            using=self.leg,
            lookup_from=models.LookupLocation(collection=self.lookup, vector=self.leg) if self.lookup else None,
            filter=filter,
            limit=limit,
            prefetch=list(inner) if inner else None,
        )


def check_limit(limit: int) -> int:
    """``limit`` if it lies between 1 and 1,000."""
    if type(limit) is not int or not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"limit must be a whole number from 1 to {MAX_LIMIT}, not {limit!r}")
    return limit


def _are_weights(given: object) -> bool:
    if not isinstance(given, Mapping) or set(given) - set(LEGS) or not any(given.values()):
        return False
    numbers = [value for value in given.values() if isinstance(value, int | float)]
    return len(numbers) == len(given) and all(0 <= value <= sys.float_info.max for value in numbers)


def multiplicities(weights: Mapping[Leg, float], most: int = MOST) -> dict[Leg, int]:
    """The smallest whole numbers, at most ``most`` each, in the ratio of ``weights`` (within 5 % if possible).

    >>> multiplicities({"dense": 0.5, "tfidf": 0.5, "collab": 1.0})
    {'dense': 1, 'tfidf': 1, 'collab': 2}
    >>> multiplicities({"dense": 1.0, "tfidf": 0.0, "collab": 0.0})
    {'dense': 1}
    """
    if not _are_weights(weights):
        raise InvalidInput(f"weights are numbers of zero or more for {', '.join(LEGS)}, not {show(weights)}")
    wanted = {leg: weights[leg] / max(weights.values()) for leg in LEGS if weights.get(leg, 0) > 0}

    def rounded(scale: int) -> dict[Leg, int]:
        return {leg: max(1, round(share * scale)) for leg, share in wanted.items()}

    def error(scale: int) -> float:
        counts = rounded(scale)
        return max(abs(counts[leg] / max(counts.values()) - share) / share for leg, share in wanted.items())

    scales = range(1, most + 1)
    return rounded(next((s for s in scales if error(s) <= 0.05), min(scales, key=error)))


def tenant_filter(tenant: str | None) -> models.Filter | None:
    """The one place where tenancy becomes a condition."""
    if tenant is None:
        return None
    return models.Filter(must=[models.FieldCondition(key=Key.TENANT, match=models.MatchValue(value=tenant))])


def check_seen(exclude_seen: Seen) -> Seen:
    """``exclude_seen`` if it says what a list leaves out."""
    given: object = exclude_seen
    if isinstance(given, bool | np.bool_) or (isinstance(given, str) and given == "but_last"):
        return exclude_seen
    raise InvalidInput(f"exclude_seen is True, False or 'but_last', not {show(given)}")


def left_out(seen: Sequence[str], last: str | None, exclude_seen: Seen) -> list[str]:
    """Of what a user had, what a list leaves out; ``last`` is what they took last.

    >>> left_out(["ink", "printer"], "ink", "but_last")
    ['printer']
    """
    if not exclude_seen:
        return []
    return [one for one in seen if exclude_seen != "but_last" or one != last]


def exclusion(point_ids: Sequence[str]) -> models.Filter | None:
    """Anything but these points."""
    if not point_ids:
        return None
    return models.Filter(must_not=[models.HasIdCondition(has_id=list(point_ids))])


def _selector() -> models.PayloadSelectorExclude:
    return models.PayloadSelectorExclude(exclude=list(ITEM_HEAVY))


def fused(
    legs: Sequence[LegQuery],
    *,
    weights: Mapping[Leg, float],
    filter: models.Filter | None,
    limit: int,
    depth: int,
    with_vector: bool = False,
    inner: Sequence[models.Prefetch] = (),
) -> models.QueryRequest:
    """One request that asks every leg for ``depth`` candidates and fuses them into ``limit`` results."""
    present = [one for one in legs if weights.get(one.leg, 0) > 0]
    counts = multiplicities({one.leg: weights[one.leg] for one in present}) if present else {}
    prefetch = [
        one.prefetch(filter, max(depth, limit), inner) for one in present for _ in range(counts[one.leg])
    ]  # fmt: skip
    return models.QueryRequest(
        prefetch=prefetch,
        query=models.FusionQuery(fusion=models.Fusion.DBSF),
        limit=limit,
        with_payload=_selector(),
        with_vector=[DENSE] if with_vector else None,
    )


def steered(
    request: models.QueryRequest, legs: Sequence[LegQuery], weights: Mapping[str, float], filter: models.Filter | None,
    depth: int,
) -> models.QueryRequest:  # fmt: skip
    """A fused request in which topics count more or less; muted ones (weight 0) are the filter's business.

    Above 1: the legs are asked again for items of the topic alone, ``round(weight) - 1`` times, at least once, as the
    weight of a leg is how often it is named. Below 1: the fused score of such items is multiplied by the weight.
    """
    prefetch = list(request.prefetch) if isinstance(request.prefetch, list) else []
    for topic, weight in weights.items():
        if weight > 1:
            inside = all_of(filter, _in_topics([topic]))
            prefetch += [one.prefetch(inside, depth) for one in legs for _ in range(max(1, round(weight) - 1))]
    lowered = {topic: weight for topic, weight in weights.items() if 0 < weight < 1}
    if not lowered:
        return request.model_copy(update={"prefetch": prefetch})
    inner = models.Prefetch(prefetch=prefetch, query=request.query, limit=max(depth, request.limit or 0))
    parts: list[models.Expression] = [1.0]
    parts += [models.MultExpression(mult=[weight - 1.0, _in_topic(topic)]) for topic, weight in lowered.items()]
    formula = models.MultExpression(mult=["$score", models.SumExpression(sum=parts)])
    return request.model_copy(update={"prefetch": [inner], "query": models.FormulaQuery(formula=formula)})


def _in_topic(topic: str) -> models.FieldCondition:
    return models.FieldCondition(key=Key.TOPIC_IDS, match=models.MatchValue(value=topic))


def _in_topics(topics: Sequence[str]) -> models.Filter:
    return models.Filter(must=[models.FieldCondition(key=Key.TOPIC_IDS, match=models.MatchAny(any=list(topics)))])


def unmuted(weights: Mapping[str, float]) -> models.Filter | None:
    """Nothing of a topic with weight 0."""
    muted = [topic for topic, weight in weights.items() if weight == 0]
    return models.Filter(must_not=_in_topics(muted).must) if muted else None


def alone(one: LegQuery, *, filter: models.Filter | None, limit: int) -> models.QueryRequest:
    """The same candidates one leg contributes to :func:`fused`, with their own scores, ids only."""
    prefetch = one.prefetch(filter, limit)
    return models.QueryRequest(
        query=prefetch.query,
        using=prefetch.using,
        lookup_from=prefetch.lookup_from,
        filter=filter,
        limit=limit,
        with_payload=False,
    )


def top(filter: models.Filter | None, limit: int, by: str = Key.POPULARITY) -> models.QueryRequest:
    """The items with the highest values of a field; those without it are left out."""
    order = models.OrderBy(key=by, direction=models.Direction.DESC)
    return models.QueryRequest(
        query=models.OrderByQuery(order_by=order), filter=filter, limit=limit, with_payload=_selector()
    )


def as_json(model: Any) -> dict[str, Any]:
    """A request as the JSON body of ``POST /collections/{items}/points/query``, without empty fields."""
    data: dict[str, Any] = model.model_dump(mode="json", exclude_none=True, by_alias=True)
    return data


def recommendations(points: Sequence[models.ScoredPoint], reason: str = "") -> list[Recommendation]:
    """Scored item points as the caller sees them: own fields only."""
    return [_recommendation(point, reason) for point in points]


def _recommendation(point: models.ScoredPoint, reason: str) -> Recommendation:
    payload = point.payload or {}
    return Recommendation(
        id=payload.get(Key.ITEM_ID, str(point.id)),
        score=float(point.score),
        title=payload.get(Key.TITLE) or "",
        payload={key: value for key, value in payload.items() if key not in ITEM_INTERNAL},
        reason=reason,
        topics=payload.get(Key.TOPICS) or [],
    )


def users(points: Sequence[models.ScoredPoint]) -> list[SimilarUser]:
    """Scored user points as the caller sees them."""
    return [
        SimilarUser(
            id=(point.payload or {}).get(Key.USER_ID, str(point.id)),
            score=float(point.score),
            terms=(point.payload or {}).get(Key.TERMS) or [],
        )
        for point in points
    ]


def leg_scores(answers: Mapping[Leg, Sequence[models.ScoredPoint]], point: str) -> dict[str, float]:
    """Score per leg of one point, for the legs that proposed it."""
    return {leg: float(scored.score) for leg, points in answers.items() for scored in points if str(scored.id) == point}


def diversify(points: Sequence[models.ScoredPoint], diversity: float, limit: int) -> list[models.ScoredPoint]:
    """Maximal marginal relevance (Carbonell & Goldstein 1998) over fused candidates.

    Picks, one by one, the point with the greatest ``(1 - d)·relevance - d·similarity``: relevance is
    the fused score scaled to [0, 1], similarity the greatest cosine (at least 0) to a point already picked.
    Points without a dense vector have similarity 0. ``diversity`` 0 keeps the order, 1 ignores relevance.
    """
    if not points:
        return []
    scores = np.array([point.score for point in points], dtype=np.float64)
    span = scores.max() - scores.min()
    relevance = (scores - scores.min()) / span if span > 0 else np.ones_like(scores)
    matrix = _unit_rows([_dense_of(point) for point in points])
    closest = np.zeros(len(points))
    picked: list[int] = []
    open_ = np.ones(len(points), dtype=bool)
    while open_.any() and len(picked) < limit:
        gain = np.where(open_, (1 - diversity) * relevance - diversity * closest, -np.inf)
        best = int(np.argmax(gain))
        picked.append(best)
        open_[best] = False
        closest = np.maximum(closest, matrix @ matrix[best])
    return [points[i] for i in picked]


def _dense_of(point: models.ScoredPoint) -> list[float]:
    vector = point.vector.get(DENSE) if isinstance(point.vector, dict) else None
    return [float(x) for x in vector] if isinstance(vector, list) else []  # type: ignore[arg-type]


def _unit_rows(rows: Sequence[Sequence[float]]) -> np.ndarray:
    width = max((len(row) for row in rows), default=0) or 1
    matrix = np.array([list(row) if row else [0.0] * width for row in rows], dtype=np.float64)
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit: np.ndarray = matrix / np.where(norms > 0, norms, 1.0)
    return unit


def combined(tenant: str | None, filter: models.Filter | None, excluded: Sequence[str] = ()) -> models.Filter | None:
    """Tenant, caller's filter and exclusions as one filter."""
    return all_of(tenant_filter(tenant), filter, exclusion(excluded))
