"""Re-ranks candidates: for diversity (MMR), or in the proportions of a user's interests (calibration). Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from llmrec_qdrant.space.layout import DENSE, Key
from llmrec_qdrant.space.points import Point

__all__ = [
    "BLOCK",
    "CALIBRATION_POOL",
    "MMR_POOL",
    "TRADE_OFF",
    "calibrate",
    "calibrated",
    "candidates",
    "divergence",
    "diversify",
    "reranked",
]

BLOCK = 10
"""Items that are picked before the next candidates come in, so that a longer list begins like a shorter one."""
MMR_POOL = 5
"""Candidates per item of a block when a list is diversified."""
CALIBRATION_POOL = 10
"""Candidates per item of a block when a list is calibrated: items of small interests rank far down."""
TRADE_OFF = 0.3
"""Weight λ of the calibration, chosen on MovieLens; see docs/decisions/topics.md."""
SMOOTHING = 0.01
"""Share α of the interests that is mixed into the topics of the list, so that a missing topic has a finite cost."""


def candidates(size: int, pool: int) -> int:
    """Return the candidates that :func:`reranked` needs for ``size`` items; ``pool`` candidates per item of a block.

    >>> candidates(10, 5), candidates(11, 5)
    (50, 60)
    """
    return pool * BLOCK + (math.ceil(size / BLOCK) - 1) * BLOCK


def reranked(
    points: Sequence[Point], size: int, pool: int, diversity: float, interests: Mapping[str, float] | None
) -> list[Point]:
    """Pick ``size`` points, ten at a time, each ten from the best ``10·pool`` that are left: diversified, calibrated or both."""
    chosen: list[Point] = []
    left = list(points)
    while left and len(chosen) < size:
        block = left[: pool * BLOCK]
        if diversity:
            block = diversify(block, diversity, BLOCK if interests is None else len(block), chosen)
        if interests is not None:
            block = calibrate(block, interests, BLOCK, chosen)
        chosen += block
        picked = {point.id for point in block}
        left = [point for point in left if point.id not in picked]
    return chosen[:size]


def diversify(points: Sequence[Point], diversity: float, limit: int, chosen: Sequence[Point] = ()) -> list[Point]:
    """Pick ``limit`` points by maximal marginal relevance (MMR; Carbonell & Goldstein 1998).

    Picks, one after the other, the point with the greatest ``(1 - d)·relevance - d·similarity``: relevance is the fused
    score scaled to [0, 1]; similarity is the greatest cosine (at least 0) to a point already picked, and 0 for points
    without a dense vector. ``diversity`` *d* = 0 keeps the order, 1 ignores relevance.
    Points ``chosen`` before count as picked.
    """
    if not points:
        return []
    relevance = _scaled(np.array([point.score for point in points], dtype=np.float64))
    matrix = _unit_rows([point.dense(DENSE) or [] for point in (*points, *chosen)])
    matrix, before = matrix[: len(points)], matrix[len(points) :]
    closest = np.max(matrix @ before.T, axis=1, initial=0.0)
    picked: list[int] = []
    left = np.ones(len(points), dtype=bool)
    while left.any() and len(picked) < limit:
        gain = np.where(left, (1 - diversity) * relevance - diversity * closest, -np.inf)
        best = int(np.argmax(gain))
        picked.append(best)
        left[best] = False
        closest = np.maximum(closest, matrix @ matrix[best])
    return [points[position] for position in picked]


def _scaled(scores: np.ndarray) -> np.ndarray:
    """Scale scores to [0, 1]; equal scores all become 1."""
    span = float(scores.max() - scores.min())
    scaled: np.ndarray = (scores - scores.min()) / span if span > 0 else np.ones_like(scores)
    return scaled


def _unit_rows(rows: Sequence[Sequence[float]]) -> np.ndarray:
    width = max((len(row) for row in rows), default=0) or 1
    matrix = np.array([list(row) if row else [0.0] * width for row in rows], dtype=np.float64)
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit: np.ndarray = matrix / np.where(norms > 0, norms, 1.0)
    return unit


def calibrate(
    points: Sequence[Point], interests: Mapping[str, float], limit: int, chosen: Sequence[Point] = ()
) -> list[Point]:
    """Pick the ``limit`` points that, after those ``chosen`` before, best match a user's ``interests`` (topic → share)."""
    scores = sorted(
        (point.score for point in points), reverse=True
    )  # the order of a diversified list decides, not its scores
    positions = calibrated(scores, _topics(points), interests, limit, before=_topics(chosen))
    return [points[position] for position in positions]


def _topics(points: Sequence[Point]) -> list[str | None]:
    return [next(iter(point.get(Key.TOPIC_IDS, [])), None) for point in points]


def calibrated(
    scores: Sequence[float],
    topics: Sequence[str | None],
    interests: Mapping[str, float],
    limit: int,
    trade_off: float = TRADE_OFF,
    before: Sequence[str | None] = (),
) -> list[int]:
    """Return the positions, ascending, of the candidates whose topics best match the user's interests.

    Steck, "Calibrated recommendations" (RecSys 2018): picks, one after the other, the item with the greatest
    ``(1 - λ)·Σ relevance - λ·KL(p ‖ q)``, where *p* is the distribution of the interests and *q* that of the topics in the
    list so far, which begins with the topics ``before``. Picked items keep their original order, so the best ones still come
    first.

    Candidates are passed best first, and their ``scores`` are scaled to [0, 1]. Without interests the first are picked.

    >>> calibrated([1.0, 0.9, 0.8, 0.1], ["a", "a", "a", "b"], {"a": 0.5, "b": 0.5}, 2, trade_off=0.9)
    [0, 3]
    >>> calibrated([1.0, 0.9, 0.8, 0.1], ["a", "a", "a", "b"], {}, 2)
    [0, 1]
    """
    shares = _shares(interests)
    if not len(scores) or shares is None:
        return list(range(min(limit, len(scores))))
    relevance = _scaled(np.array(scores, dtype=np.float64))
    member = np.array([[topic == name for name in interests] for topic in (*topics, *before)], dtype=np.float64)
    return sorted(_picked(relevance, member, shares, limit, trade_off))


def _picked(relevance: np.ndarray, member: np.ndarray, shares: np.ndarray, limit: int, trade_off: float) -> list[int]:
    """Return the candidates in the order they are picked.

    ``member`` is (candidates and items listed before, interests): 1 where one belongs to the other.
    """
    counts, listed = member[len(relevance) :].sum(axis=0), len(member) - len(relevance)
    member = member[: len(relevance)]
    picked: list[int] = []
    left = np.ones(len(relevance), dtype=bool)
    while left.any() and len(picked) < limit:
        costs = _divergence(shares, (counts + member) / (listed + len(picked) + 1))
        best = int(np.argmax(np.where(left, (1 - trade_off) * relevance - trade_off * costs, -np.inf)))
        picked.append(best)
        left[best] = False
        counts += member[best]
    return picked


def divergence(interests: Mapping[str, float], topics: Sequence[str | None]) -> float:
    """Return ``KL(p ‖ q̃)`` of a list in nats; ``q̃ = (1 - α)·q + α·p``. Items without a topic count for no interest.

    >>> round(divergence({"a": 0.5, "b": 0.5}, ["a", "b"]), 6)
    0.0
    >>> divergence({"a": 0.5, "b": 0.5}, ["a", "a"]) > 1
    True
    """
    shares = _shares(interests)
    if shares is None:
        return 0.0
    present = np.array([sum(topic == name for topic in topics) for name in interests]) / max(len(topics), 1)
    return float(_divergence(shares, present[None, :])[0])


def _shares(interests: Mapping[str, float]) -> np.ndarray | None:
    """Normalise interests to a sum of 1; None without interests."""
    weights = np.array(list(interests.values()), dtype=np.float64)
    if not len(weights) or weights.sum() <= 0:
        return None
    shares: np.ndarray = weights / weights.sum()
    return shares


def _divergence(shares: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return ``KL(p ‖ q̃)`` per row of ``present``."""
    mixed = (1 - SMOOTHING) * present + SMOOTHING * shares
    ratio = np.where(shares > 0, np.log(np.where(shares > 0, shares, 1) / np.where(shares > 0, mixed, 1)), 0)
    result: np.ndarray = (shares * ratio).sum(axis=1)
    return result
