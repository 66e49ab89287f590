"""Takes the score of a fused item apart. Pure.

Distribution-based score fusion maps each leg's score ``s`` to ``(s - μ + 3σ) / 6σ``, with the mean and the sample deviation of that
leg's candidates, and adds up: so what a leg adds is known from its own list of candidates.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from qdrant_client import models

from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.query.pages import prefetches
from llmrec_qdrant.query.requests import TASTE, Request
from llmrec_qdrant.space.conditions import all_of
from llmrec_qdrant.space.points import Point

__all__ = ["Part", "Term", "normalised", "parts_of", "terms_of"]


@dataclass(frozen=True)
class Part:
    """One distinct prefetch of a fused request."""

    leg: Leg
    prefetch: models.Prefetch
    times: int = 1
    """How often the request repeats it."""
    kind: Literal["leg", "boost", "taste", "word"] = "leg"
    topic: str | None = None

    def alone(self, filter: models.Filter | None) -> models.QueryRequest:
        """Return the request for the candidates of this prefetch, with ids and the leg's own scores."""
        part = self.prefetch
        return Request(
            prefetch=part.prefetch,
            query=part.query,
            using=part.using,
            lookup_from=part.lookup_from,
            score_threshold=part.score_threshold,
            filter=all_of(filter, part.filter),
            limit=part.limit,
            with_payload=False,
        )


@dataclass(frozen=True)
class Term:
    """What one part adds to the score of one item."""

    part: Part
    contribution: float
    score: float
    rank: int
    candidates: int


def normalised(scores: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return scores as DBSF adds them up, float array; scores that do not differ count one half.

    >>> normalised([2.0, 1.0, 0.0]).round(4).tolist()
    [0.6667, 0.5, 0.3333]
    >>> normalised([0.7]).tolist()
    [0.5]
    >>> normalised([0.1, 0.1, 0.1]).tolist()
    [0.5, 0.5, 0.5]
    """
    values = np.asarray(scores, dtype=np.float64)
    if not len(values) or values.min() == values.max():  # the mean of equal numbers may differ from them by rounding
        return np.full(len(values), 0.5)
    result: np.ndarray = (values - values.mean()) / (6 * values.std(ddof=1)) + 0.5
    return result


def parts_of(request: models.QueryRequest) -> list[Part]:
    """Return the distinct parts of a request of a plan, whichever builder made it; see ``requests.fused`` and ``requests.personal``."""
    inner = prefetches(request)
    if isinstance(request.query, models.FusionQuery):
        return _distinct(inner)
    text, *others = inner
    parts = _distinct(prefetches(text))
    if others:
        parts += [replace(part, kind="taste") for part in _distinct(prefetches(others[0]))]
        parts += [replace(part, kind="word") for part in _distinct(others[1:])]
    return parts


def _distinct(found: Sequence[models.Prefetch]) -> list[Part]:
    parts: dict[tuple[str, str | None], Part] = {}
    for prefetch in found:
        topic = _topic(prefetch.filter)
        key = str(prefetch.using), topic
        known = parts.get(key)
        leg: Leg = prefetch.using  # type: ignore[assignment]
        new = Part(leg, prefetch, kind="boost" if topic else "leg", topic=topic)
        parts[key] = replace(known, times=known.times + 1) if known else new
    return list(parts.values())


def _topic(filter: models.Filter | None) -> str | None:
    """Return the topic that a boosting prefetch is limited to."""
    for condition in filter.must if filter and isinstance(filter.must, list) else []:
        if isinstance(condition, models.FieldCondition) and isinstance(condition.match, models.MatchAny):
            return str(condition.match.any[0])
    return None


def terms_of(parts: Sequence[Part], lists: Sequence[Sequence[Point]], wanted: Container[str]) -> dict[str, list[Term]]:
    """Return point id → what each part adds to its score, given each part's own list; for the points ``wanted``."""
    tastes = sum(part.kind == "taste" for part in parts)
    terms: dict[str, list[Term]] = {}
    for part, points in zip(parts, lists, strict=True):
        scores = np.array([point.score for point in points])
        added = part.times * normalised(scores)
        for place in [place for place, point in enumerate(points) if point.id in wanted]:
            value = TASTE if part.kind == "word" else float(added[place])
            better = int((scores > scores[place]).sum())
            terms.setdefault(points[place].id, []).append(
                Term(part, value, points[place].score, better + 1, len(points))
            )
    return {point: _with_taste(found, tastes) for point, found in terms.items()} if tastes else terms


def _with_taste(terms: Sequence[Term], legs: int) -> list[Term]:
    """Scale the terms of taste: their mean, held between 0 and 1, counts ``TASTE``."""
    whole = sum(term.contribution for term in terms if term.part.kind == "taste")
    held = min(max(whole / legs, 0.0), 1.0)
    factor = TASTE * held / whole if whole else 0.0
    return [
        replace(term, contribution=term.contribution * factor) if term.part.kind == "taste" else term for term in terms
    ]
