"""Intent → Query API request → result. Pure: no I/O, so sync, async and any other language agree.

Every list of items is one request of this shape: one prefetch per leg, fused by distribution-based
score fusion (DBSF, Qdrant 1.11), which normalises each leg's scores by their mean and three standard
deviations and adds them up. A leg's weight is how often its prefetch is named: exact on every server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qdrant_client import models

from llmrec_qdrant.contracts.answers import Seen
from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.errors import InvalidInput, show
from llmrec_qdrant.query.weights import multiplicities
from llmrec_qdrant.space.conditions import all_of, tenant_filter
from llmrec_qdrant.space.layout import DENSE, ITEM_HEAVY, Key

__all__ = [
    "LegQuery",
    "alone",
    "as_json",
    "check_limit",
    "check_seen",
    "combined",
    "exclusion",
    "fused",
    "left_out",
    "steered",
    "top",
    "unmuted",
]


MAX_LIMIT = 1_000


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


def combined(tenant: str | None, filter: models.Filter | None, excluded: Sequence[str] = ()) -> models.Filter | None:
    """Tenant, caller's filter and exclusions as one filter."""
    return all_of(tenant_filter(tenant), filter, exclusion(excluded))
