"""Pages of lists: a longer list begins like a shorter one, and pages never share an item. Pure.

The scores of a fused list depend on how many candidates each leg contributes, so that number is the same for every page. Where
a page lies beyond the reach of these candidates, a second list over more of them continues the first.

Qdrant returns items of equal scores in any order, another one with each request. A page is read together with its neighbours:
if they show all items that have the scores at its edges, sorting by id puts these in order. Otherwise the whole list is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from qdrant_client import models

from llmrec_qdrant.query.options import MAX_LIMIT
from llmrec_qdrant.space.points import Point

__all__ = ["Page", "behind", "everything", "page", "prefetches", "reach"]


NEIGHBOURS = 10
"""Items that are read before a page and after it."""


@dataclass(frozen=True)
class Page:
    """The items from ``offset`` of a list."""

    request: models.QueryRequest
    """The request for exactly this page."""

    @property
    def _offset(self) -> int:
        return self.request.offset or 0

    @property
    def _limit(self) -> int:
        return self.request.limit or 0

    @property
    def _before(self) -> int:
        """Neighbours that are read before the page."""
        return min(self._offset, NEIGHBOURS)

    @property
    def _ordered(self) -> bool:
        """Whether Qdrant itself keeps equal values in order, as it does for ``order_by``."""
        return isinstance(self.request.query, models.OrderByQuery)

    @property
    def with_neighbours(self) -> models.QueryRequest:
        """The request for the page, the items before and the items after it."""
        if self._ordered:
            return self.request
        request = _part(self.request, self._offset - self._before, self._before + self._limit + NEIGHBOURS)
        return _fused_below(request)

    @property
    def whole(self) -> models.QueryRequest:
        """The request for the whole list."""
        return _fused_below(_part(self.request, 0, everything(prefetches(self.request))))

    def is_torn(self, points: Sequence[Point]) -> bool:
        """Whether more items may have the score at an edge than ``points`` show, the answer to :attr:`with_neighbours`."""
        scores = [point.score for point in points]
        end = self._before + self._limit
        if self._ordered or len(scores) <= self._before:
            return False
        more_before = self._offset > self._before and scores[0] == scores[self._before]
        more_after = len(scores) == end + NEIGHBOURS and scores[end - 1] == scores[-1]
        return more_before or more_after

    def cut(self, points: Sequence[Point], whole: bool = False) -> list[Point]:
        """Cut the page out of the answer to :attr:`with_neighbours` or :attr:`whole`."""
        if self._ordered:
            return list(points)
        start = self._offset if whole else self._before
        return sorted(points, key=lambda point: (-point.score, point.id))[start : start + self._limit]


def reach(depth: int, end: int) -> int:
    """Return the candidates per leg that a list of ``end`` items takes; ``depth`` are those of a short list."""
    return depth if end <= depth else max(depth, MAX_LIMIT)


def page(at: Callable[[int], models.QueryRequest], depth: int, offset: int, limit: int) -> models.QueryRequest:
    """Return the request for a page of a list; ``at`` builds the list for a number of candidates per leg."""
    request, most = at(depth), reach(depth, offset + limit)
    alone = most == depth or isinstance(request.query, models.OrderByQuery)
    return _part(request if alone else _continued(request, at(most)), offset, limit)


def everything(prefetches: Iterable[models.Prefetch]) -> int:
    """Return the number of items that prefetches contribute at most."""
    return sum(prefetch.limit or 0 for prefetch in prefetches)


def _part(request: models.QueryRequest, offset: int, limit: int) -> models.QueryRequest:
    return request.model_copy(update={"offset": offset or None, "limit": limit})


def _fused_below(request: models.QueryRequest) -> models.QueryRequest:
    """Fuse below the root, with the same answer: a server reads the payload of every item that is fused at the root."""
    if not isinstance(request.query, models.FusionQuery):
        return request
    inner = prefetches(request)
    end = (request.offset or 0) + (request.limit or 0)
    candidates = models.Prefetch(prefetch=inner, query=request.query, limit=min(everything(inner), end))
    return request.model_copy(update={"prefetch": [candidates], "query": models.FormulaQuery(formula="$score")})


def prefetches(part: models.QueryRequest | models.Prefetch) -> list[models.Prefetch]:
    """Return what a request, or a part of one, prefetches."""
    return list(part.prefetch) if isinstance(part.prefetch, list) else []


def _continued(first: models.QueryRequest, second: models.QueryRequest) -> models.QueryRequest:
    """Return a request for the items of ``first`` with their scores, followed by the other items of ``second``.

    An item that is missing in ``first`` gets ``-below`` in its place, which no fused score reaches; only there is the decay 1
    instead of 0, and the score of ``second`` is added.
    """
    below = behind(first, second)
    parts = [
        models.Prefetch(prefetch=prefetches(part), query=part.query, limit=everything(prefetches(part)))
        for part in (first, second)
    ]
    decay = models.DecayParamsExpression(x="$score[0]", target=below, scale=0.01, midpoint=0.5)
    rest = models.MultExpression(mult=[models.GaussDecayExpression(gauss_decay=decay), "$score[1]"])
    formula = models.FormulaQuery(
        formula=models.SumExpression(sum=["$score[0]", rest]), defaults={"$score[0]": below, "$score[1]": 0.0}
    )
    return first.model_copy(update={"prefetch": parts, "query": formula})


def behind(first: models.QueryRequest, second: models.QueryRequest) -> float:
    """Return what is added to the scores of items that only ``second`` lists, so that they come last; it is negative."""
    return -float(math.ceil(_highest(first) + _highest(second)) + 1)


def _highest(request: models.QueryRequest) -> float:
    """Return a bound of the scores, up and down: among ``n`` numbers, none is more than ``√n`` deviations from the mean."""
    fused = prefetches(request)
    if not isinstance(request.query, models.FusionQuery):
        fused = [inner for prefetch in fused for inner in prefetches(prefetch)]
    return sum((3 + math.sqrt(prefetch.limit or 0)) / 6 for prefetch in fused)
