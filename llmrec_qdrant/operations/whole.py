"""Reads a list whose parts need more candidates than one request may have (strict mode, ``max_query_limit``).

Each part is asked for alone, page by page, all of them in one round trip, and ``query/whole.py`` puts the list together. Parts that
score the candidates of other parts take a second one; titles and other payload the last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from qdrant_client import models

from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.query.pages import prefetches
from llmrec_qdrant.query.whole import Scores, combined, is_combined, payload_keys, single
from llmrec_qdrant.space.points import Point

__all__ = ["read_whole"]

Ask = Callable[[Sequence[models.QueryRequest]], Steps[list[list[Point]]]]
"""Requests without prefetches → their answers."""
Retrieve = Callable[[Sequence[str], Any, Any], Steps[list[Point]]]
"""Point ids, payload keys and vectors → the points that exist."""


def read_whole(request: models.QueryRequest, ask: Ask, retrieve: Retrieve) -> Steps[list[Point]]:
    """Return the points of a list, as if Qdrant had answered the request."""
    listed = request.model_copy(update={"filter": None})
    (scores,) = yield from _scores([listed], request.filter, ask, retrieve)
    start = request.offset or 0
    page = dict(list(scores.items())[start : start + (request.limit or 10)])
    payload = True if request.with_payload is None else request.with_payload
    points = yield from retrieve(list(page), payload, request.with_vector or False)
    known = {point.id: point for point in points}
    return [replace(known[point], score=score) for point, score in page.items() if point in known]


def _scores(
    parts: Sequence[models.QueryRequest | models.Prefetch], filter: models.Filter | None, ask: Ask, retrieve: Retrieve
) -> Steps[list[Scores]]:
    """Return the scores of parts; each distinct one is asked for once."""
    known: dict[str, Scores] = {}
    distinct = {_name(part): part for part in parts}
    plain = {name: part for name, part in distinct.items() if not prefetches(part)}
    if plain:
        answers = yield from ask([single(part, filter) for part in plain.values()])
        known |= dict(zip(plain, map(_ranked, answers), strict=True))
    rest = {name: part for name, part in distinct.items() if name not in plain}
    inner = [prefetches(part) for part in rest.values()]
    if inner:
        found = iter((yield from _scores([part for some in inner for part in some], filter, ask, retrieve)))
        for (name, part), some in zip(rest.items(), inner, strict=True):
            lists = [next(found) for _ in some]
            known[name] = yield from _over(part, lists, filter, ask, retrieve)
    return [known[_name(part)] for part in parts]


def _over(
    part: models.QueryRequest | models.Prefetch,
    lists: Sequence[Scores],
    filter: models.Filter | None,
    ask: Ask,
    retrieve: Retrieve,
) -> Steps[Scores]:
    """Return the scores of a part over the candidates of its prefetches."""
    among = list(dict.fromkeys(point for scores in lists for point in scores))
    if not among:
        return {}
    if not is_combined(part):
        (answer,) = yield from ask([single(part, filter, among)])
        return _ranked(answer)
    payloads: Mapping[str, Mapping[str, Any]] = {}
    keys = payload_keys(part)
    if keys:
        points = yield from retrieve(among, sorted(keys), False)
        payloads = {point.id: point.payload for point in points}
    return combined(part, lists, payloads)


def _ranked(points: Sequence[Point]) -> Scores:
    return {point.id: point.score for point in points}


def _name(part: models.QueryRequest | models.Prefetch) -> str:
    return part.model_dump_json(exclude_none=True)
