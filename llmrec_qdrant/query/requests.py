"""Builds the Qdrant requests for lists of items.

Every list is one request: a prefetch per leg, fused by distribution-based score fusion (DBSF, since Qdrant 1.11), which
normalises the scores of each leg by their mean and three standard deviations and adds them up. The weight of a leg is the
number of times its prefetch is repeated, which is exact on every server version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from qdrant_client import models

from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.query.pages import prefetches
from llmrec_qdrant.query.weights import multiplicities
from llmrec_qdrant.space.conditions import all_of, has_id, none_of, tenant_filter
from llmrec_qdrant.space.layout import DENSE, ITEM_HEAVY, Key

__all__ = ["LegQuery", "Request", "as_json", "combined", "exclusion", "fused", "personal", "top", "top_unlike"]


TASTE = 0.5
"""What the user's taste can add to the score of an item that a text finds; two legs that agree on it add up to about 2."""
STEEPNESS_OF_WORDS = 1e6
"""Makes any score of a word, however frequent, as good as infinite."""
CLOSE = 0.42
"""Scaled distance (mean 0.5, deviation 1/6) below which an item counts as close: half a deviation below the mean."""
STEEPNESS = 40.0
"""How fast the score falls from there: to a thousandth within half a deviation."""


@dataclass(frozen=True)
class LegQuery:
    """The query of one leg: a vector, or the id of a point in the collection ``lookup`` whose vector is used."""

    leg: Leg
    query: Any
    lookup: str | None = None
    floor: float | None = None
    """Score below which the leg proposes nothing."""

    def prefetch(
        self, limit: int, inner: Sequence[models.Prefetch] = (), filter: models.Filter | None = None
    ) -> models.Prefetch:
        """Return this leg as a prefetch, over the whole collection or over the candidates of ``inner``.

        ``filter`` narrows this prefetch alone: Qdrant applies the filter of a request to every prefetch in it, at any depth.
        The floor holds over the whole collection only: within a filter or candidates, something else speaks for the items.
        """
        return models.Prefetch(
            query=self.query if not isinstance(self.query, str) else models.NearestQuery(nearest=self.query),
            using=self.leg,
            lookup_from=models.LookupLocation(collection=self.lookup, vector=self.leg) if self.lookup else None,
            filter=filter,
            limit=limit,
            prefetch=list(inner) if inner else None,
            score_threshold=None if inner or filter else self.floor,
        )


class Request(models.QueryRequest):
    """A request that the Qdrant client does not copy deeply before sending it; the client changes nothing but ``query``."""

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self.model_copy()


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
    """Return a request that takes ``depth`` candidates per leg and fuses them into ``limit`` items.

    The filter is written once, at the root: Qdrant passes it down to the prefetches.
    """
    present = [query for query in legs if weights.get(query.leg, 0) > 0]
    times = multiplicities({query.leg: weights[query.leg] for query in present}) if present else {}
    prefetch = [query.prefetch(depth, inner) for query in present for _ in range(times[query.leg])]
    return Request(
        prefetch=prefetch,
        query=models.FusionQuery(fusion=models.Fusion.DBSF),
        filter=filter,
        limit=limit,
        with_payload=_light_payload(),
        with_vector=[DENSE] if with_vector else None,
    )


def personal(text: models.QueryRequest, words: LegQuery | None, taste: Sequence[LegQuery]) -> models.QueryRequest:
    """Return a request for what ``text`` finds, ordered a little by how the legs of ``taste`` rank it.

    The score is ``text + TASTE · (word + liked)``. ``text`` is the fused score; ``word`` is 1 if the item has a word of the text,
    which ``words`` looks for, else 0; ``liked`` is the mean of the user's legs, fused among the candidates and held between 0 and 1.
    So taste lifts no item without a word of the text above one that has a word and matches better.
    """
    candidates = prefetches(text)
    inner = list({prefetch.using: prefetch for prefetch in candidates}.values())
    depth = sum(prefetch.limit or 0 for prefetch in inner)
    ranked = [query.prefetch(depth, inner) for query in taste]
    parts = [models.Prefetch(prefetch=each, query=text.query, limit=depth) for each in (candidates, ranked)]
    parts += [words.prefetch(depth, inner)] if words else []
    raised = models.MultExpression(mult=[TASTE, models.SumExpression(sum=[_liked(len(taste)), _has_word()])])
    formula = models.FormulaQuery(
        formula=models.SumExpression(sum=["$score[0]", raised]), defaults={f"$score[{part}]": 0.0 for part in range(3)}
    )
    return text.model_copy(update={"prefetch": parts, "query": formula})


def _liked(legs: int) -> models.MultExpression:
    """Return the mean of the user's legs, held between 0 and 1: fused scores of few items may lie outside."""
    mean = models.MultExpression(mult=["$score[1]", 1 / legs])
    less = models.NegExpression(neg=models.AbsExpression(abs=models.SumExpression(sum=[mean, -1.0])))
    return models.MultExpression(mult=[0.5, models.SumExpression(sum=[1.0, models.AbsExpression(abs=mean), less])])


def _has_word() -> models.SumExpression:
    """Return 1 for an item that the words find, else 0."""
    falling = models.ExpExpression(exp=models.MultExpression(mult=["$score[2]", -STEEPNESS_OF_WORDS]))
    return models.SumExpression(sum=[1.0, models.NegExpression(neg=falling)])


def top(filter: models.Filter | None, limit: int, by: str = Key.POPULARITY) -> models.QueryRequest:
    """Return a request for the items with the highest values of a field; items without the field are left out."""
    return Request(query=_descending(by), filter=filter, limit=limit, with_payload=_light_payload())


def top_unlike(unwanted: Sequence[float], filter: models.Filter | None, depth: int) -> models.QueryRequest:
    """Return a request for the most popular ``depth`` items, those close to the dense vector ``unwanted`` last.

    The similarities are scaled by their mean and deviation, as in a fused list, so that the encoder does not matter. The
    score is the popularity unless an item is clearly closer than the mean: ``(popularity + 1) · exp(-2 k x) - 1`` for an
    item that is ``x`` closer than ``CLOSE`` allows.
    """
    popular = models.Prefetch(query=_descending(Key.POPULARITY), limit=depth)
    away = models.NearestQuery(nearest=[-x for x in unwanted])
    compared = models.Prefetch(prefetch=[popular], query=away, using=DENSE, limit=depth)
    scaled = models.Prefetch(prefetch=[compared], query=models.FusionQuery(fusion=models.Fusion.DBSF), limit=depth)
    return Request(
        prefetch=[scaled],
        query=models.FormulaQuery(formula=_lowered_popularity()),
        filter=filter,
        limit=depth,
        with_payload=_light_payload(),
    )


def _lowered_popularity() -> models.SumExpression:
    above = models.SumExpression(sum=["$score", -CLOSE])
    below = models.SumExpression(
        sum=[above, models.NegExpression(neg=models.AbsExpression(abs=above))]
    )  # 0 if not close
    lowered = models.ExpExpression(exp=models.MultExpression(mult=[STEEPNESS, below]))
    popularity = models.SumExpression(sum=[Key.POPULARITY, 1.0])
    return models.SumExpression(sum=[models.MultExpression(mult=[popularity, lowered]), -1.0])


def _descending(key: str) -> models.OrderByQuery:
    return models.OrderByQuery(order_by=models.OrderBy(key=key, direction=models.Direction.DESC))


def combined(tenant: str | None, filter: models.Filter | None, excluded: Sequence[str] = ()) -> models.Filter | None:
    """Combine tenant, caller's filter and excluded points into one filter."""
    return all_of(tenant_filter(tenant), filter, exclusion(excluded))


def exclusion(points: Sequence[str]) -> models.Filter | None:
    """Return a filter that excludes these points; None for no points."""
    return none_of(has_id(*points)) if points else None


def as_json(model: Any) -> dict[str, Any]:
    """Return a request as the JSON body of ``POST /collections/{items}/points/query``, without empty fields."""
    data: dict[str, Any] = model.model_dump(mode="json", exclude_none=True, by_alias=True)
    return data


def _light_payload() -> models.PayloadSelectorExclude:
    return models.PayloadSelectorExclude(exclude=list(ITEM_HEAVY))
