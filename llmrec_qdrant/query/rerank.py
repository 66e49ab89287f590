"""A list whose topics stand in the proportion of a user's interests. Pure.

Steck, "Calibrated recommendations" (RecSys 2018): among the candidates, pick one by one the item with the greatest
``(1 - λ)·Σ relevance - λ·KL(p ‖ q)``, where *p* are the interests and *q* the topics of the list so far. Those that
are picked are shown in the order they came in: which items there are decides how near a list is to the interests, and
their order decides how soon the best is found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from qdrant_client import models

from llmrec_qdrant.space.layout import DENSE

__all__ = ["POOL", "calibrated", "divergence", "diversify"]


MMR_POOL = 5
"""Candidates per wanted item when a list is diversified."""


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


TRADE_OFF = 0.3
"""λ, chosen on MovieLens: see docs/decisions/topics.md."""


POOL = 10
"""Candidates per wanted item: small interests stand far down a list."""


SMOOTHING = 0.01
"""Share of *p* mixed into *q*, so that a topic that is missing costs much and not everything."""


def divergence(interests: Mapping[str, float], topics: Sequence[str | None]) -> float:
    """``KL(p ‖ q̃)`` of a list in nats; ``q̃ = (1 - α)·q + α·p``. Items without a topic count for no interest.

    >>> round(divergence({"a": 0.5, "b": 0.5}, ["a", "b"]), 6)
    0.0
    >>> divergence({"a": 0.5, "b": 0.5}, ["a", "a"]) > 1
    True
    """
    wanted = np.array(list(interests.values()), dtype=np.float64)
    if not len(wanted) or wanted.sum() <= 0:
        return 0.0
    wanted = wanted / wanted.sum()
    have = np.array([sum(topic == name for topic in topics) for name in interests]) / max(len(topics), 1)
    return float(_divergence(wanted, have[None, :])[0])


def _divergence(wanted: np.ndarray, have: np.ndarray) -> np.ndarray:
    mixed = (1 - SMOOTHING) * have + SMOOTHING * wanted
    ratio = np.where(wanted > 0, np.log(np.where(wanted > 0, wanted, 1) / np.where(wanted > 0, mixed, 1)), 0)
    result: np.ndarray = (wanted * ratio).sum(axis=1)
    return result


def calibrated(
    scores: Sequence[float],
    topics: Sequence[str | None],
    interests: Mapping[str, float],
    limit: int,
    trade_off: float = TRADE_OFF,
) -> list[int]:
    """Places of the picked candidates, ascending. Candidates come best first.

    ``scores`` are scaled to [0, 1] over the candidates. Without interests the first ones are picked.

    >>> calibrated([1.0, 0.9, 0.8, 0.1], ["a", "a", "a", "b"], {"a": 0.5, "b": 0.5}, 2, trade_off=0.9)
    [0, 3]
    >>> calibrated([1.0, 0.9, 0.8, 0.1], ["a", "a", "a", "b"], {}, 2)
    [0, 1]
    """
    given = np.array(scores, dtype=np.float64)
    wanted = np.array(list(interests.values()), dtype=np.float64)
    if not len(given) or wanted.sum() <= 0:
        return list(range(min(limit, len(given))))
    wanted = wanted / wanted.sum()
    span = float(given.max() - given.min())
    relevance = (given - given.min()) / span if span > 0 else np.ones_like(given)
    names = list(interests)
    member = np.array([[topic == name for name in names] for topic in topics], dtype=np.float64)
    counts = np.zeros(len(names))
    picked: list[int] = []
    left = np.ones(len(given), dtype=bool)
    while left.any() and len(picked) < limit:
        costs = _divergence(wanted, (counts + member) / (len(picked) + 1))
        best = int(np.argmax(np.where(left, (1 - trade_off) * relevance - trade_off * costs, -np.inf)))
        picked.append(best)
        left[best] = False
        counts += member[best]
    return sorted(picked)
