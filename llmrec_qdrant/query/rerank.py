"""Orders candidates anew: for diversity (MMR), or in the proportions of a user's interests (calibration). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from llmrec_qdrant.space.layout import DENSE, Key
from llmrec_qdrant.space.points import Point

__all__ = ["CALIBRATION_POOL", "MMR_POOL", "TRADE_OFF", "calibrate", "calibrated", "divergence", "diversify"]

MMR_POOL = 5
"""Candidates per wanted item when a list is diversified."""
CALIBRATION_POOL = 10
"""Candidates per wanted item when a list is calibrated: small interests stand far down a list."""
TRADE_OFF = 0.3
"""λ of the calibration, chosen on MovieLens: see docs/decisions/topics.md."""
SMOOTHING = 0.01
"""Share of the interests mixed into the list's topics, so that a missing topic costs much but not everything."""


def diversify(points: Sequence[Point], diversity: float, limit: int) -> list[Point]:
    """Maximal marginal relevance (Carbonell & Goldstein 1998) over fused candidates.

    Picks, one after the other, the point with the greatest ``(1 - d)·relevance - d·similarity``: relevance is the fused
    score scaled to [0, 1], similarity the greatest cosine (at least 0) to a point already picked. Points without a dense
    vector have similarity 0. ``diversity`` 0 keeps the order, 1 ignores relevance.
    """
    if not points:
        return []
    relevance = _scaled(np.array([point.score for point in points], dtype=np.float64))
    matrix = _unit_rows([point.dense(DENSE) or [] for point in points])
    closest = np.zeros(len(points))
    picked: list[int] = []
    left = np.ones(len(points), dtype=bool)
    while left.any() and len(picked) < limit:
        gain = np.where(left, (1 - diversity) * relevance - diversity * closest, -np.inf)
        best = int(np.argmax(gain))
        picked.append(best)
        left[best] = False
        closest = np.maximum(closest, matrix @ matrix[best])
    return [points[place] for place in picked]


def _scaled(scores: np.ndarray) -> np.ndarray:
    """Scores mapped to [0, 1]; all 1 where they are equal."""
    span = float(scores.max() - scores.min())
    scaled: np.ndarray = (scores - scores.min()) / span if span > 0 else np.ones_like(scores)
    return scaled


def _unit_rows(rows: Sequence[Sequence[float]]) -> np.ndarray:
    width = max((len(row) for row in rows), default=0) or 1
    matrix = np.array([list(row) if row else [0.0] * width for row in rows], dtype=np.float64)
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit: np.ndarray = matrix / np.where(norms > 0, norms, 1.0)
    return unit


def calibrate(points: Sequence[Point], interests: Mapping[str, float], limit: int) -> list[Point]:
    """The ``limit`` points whose topics come near to the shares of a user's interests (topic → share)."""
    topics = [next(iter(point.get(Key.TOPIC_IDS, [])), None) for point in points]
    scores = sorted((point.score for point in points), reverse=True)  # a diversified list counts by its places
    return [points[place] for place in calibrated(scores, topics, interests, limit)]


def calibrated(
    scores: Sequence[float],
    topics: Sequence[str | None],
    interests: Mapping[str, float],
    limit: int,
    trade_off: float = TRADE_OFF,
) -> list[int]:
    """Places of the candidates that bring a list's topics near to the user's interests, ascending.

    Steck, "Calibrated recommendations" (RecSys 2018): picks, one after the other, the item with the greatest
    ``(1 - λ)·Σ relevance - λ·KL(p ‖ q)``, where *p* are the interests and *q* the topics of the list so far. Picked items
    keep the order they came in: the set decides how near a list is to the interests, the order how soon the best is seen.

    Candidates come best first; ``scores`` are scaled to [0, 1] over them. Without interests the first ones are picked.

    >>> calibrated([1.0, 0.9, 0.8, 0.1], ["a", "a", "a", "b"], {"a": 0.5, "b": 0.5}, 2, trade_off=0.9)
    [0, 3]
    >>> calibrated([1.0, 0.9, 0.8, 0.1], ["a", "a", "a", "b"], {}, 2)
    [0, 1]
    """
    shares = _shares(interests)
    if not len(scores) or shares is None:
        return list(range(min(limit, len(scores))))
    relevance = _scaled(np.array(scores, dtype=np.float64))
    member = np.array([[topic == name for name in interests] for topic in topics], dtype=np.float64)
    return sorted(_picked(relevance, member, shares, limit, trade_off))


def _picked(relevance: np.ndarray, member: np.ndarray, shares: np.ndarray, limit: int, trade_off: float) -> list[int]:
    """Candidates (rows of ``member``: which interest each belongs to) in the order they are picked."""
    counts = np.zeros(len(shares))
    picked: list[int] = []
    left = np.ones(len(relevance), dtype=bool)
    while left.any() and len(picked) < limit:
        costs = _divergence(shares, (counts + member) / (len(picked) + 1))
        best = int(np.argmax(np.where(left, (1 - trade_off) * relevance - trade_off * costs, -np.inf)))
        picked.append(best)
        left[best] = False
        counts += member[best]
    return picked


def divergence(interests: Mapping[str, float], topics: Sequence[str | None]) -> float:
    """``KL(p ‖ q̃)`` of a list in nats; ``q̃ = (1 - α)·q + α·p``. Items without a topic count for no interest.

    >>> round(divergence({"a": 0.5, "b": 0.5}, ["a", "b"]), 6)
    0.0
    >>> divergence({"a": 0.5, "b": 0.5}, ["a", "a"]) > 1
    True
    """
    shares = _shares(interests)
    if shares is None:
        return 0.0
    have = np.array([sum(topic == name for topic in topics) for name in interests]) / max(len(topics), 1)
    return float(_divergence(shares, have[None, :])[0])


def _shares(interests: Mapping[str, float]) -> np.ndarray | None:
    """Interests that add up to 1; None for none."""
    weights = np.array(list(interests.values()), dtype=np.float64)
    if not len(weights) or weights.sum() <= 0:
        return None
    shares: np.ndarray = weights / weights.sum()
    return shares


def _divergence(shares: np.ndarray, have: np.ndarray) -> np.ndarray:
    """``KL(p ‖ q̃)`` per row of ``have``."""
    mixed = (1 - SMOOTHING) * have + SMOOTHING * shares
    ratio = np.where(shares > 0, np.log(np.where(shares > 0, shares, 1) / np.where(shares > 0, mixed, 1)), 0)
    result: np.ndarray = (shares * ratio).sum(axis=1)
    return result
