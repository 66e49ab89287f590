"""Weighs and adds up a user's events: the arithmetic behind the legs of a user. Pure.

Workers fold with it, and explanations take the same sums apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from qdrant_client import models

from llmrec_qdrant.contracts.config import SpaceConfig

__all__ = [
    "DAY",
    "MAX_TFIDF_ENTRIES",
    "MIN_TFIDF_ENTRY",
    "as_sparse",
    "decayed",
    "decayed_weights",
    "sparse_norm",
    "summed",
]

DAY = 86_400.0
"""Seconds."""
MAX_TFIDF_ENTRIES = 512
"""Entries kept in a user's tfidf vector, strongest first."""


MIN_TFIDF_ENTRY = 1e-4
"""Smallest entry of a user's tfidf vector, which has norm 1. Words of events long ago change no list, but each costs a search of
its postings: with a hundred events they are more than half of all entries. The collab leg keeps even the smallest entries, since
they propose items that nothing else proposes."""

MIN_MASS = 1e-9
"""Weight of a word or item, after subtracting the dislikes, that is no more than rounding."""

MAX_DISLIKE_RATIO = 1.0
"""Greatest total weight of dislikes relative to likes; beyond it, the profile would be the mere opposite of the dislikes."""


def decayed(moments: Sequence[float], half_life: float, per_step: float, steps: np.ndarray | None = None) -> np.ndarray:
    """Return ``per_step^k · 0.5^(age / half-life)`` per event, float array (events,).

    ``moments`` are in seconds, newest first; ``half_life`` is in days. *k* is the event's entry in ``steps``, by default its
    position. Age counts from the newest event, so the profile of an absent user does not change, and folding twice gives
    the same vectors.
    """
    if not len(moments):
        return np.zeros(0)
    ages = (moments[0] - np.asarray(moments, dtype=np.float64)) / DAY
    weights: np.ndarray = per_step ** (np.arange(len(moments)) if steps is None else steps) * 0.5 ** (ages / half_life)
    return weights


def decayed_weights(moments: Sequence[float], weights: np.ndarray, config: SpaceConfig, decay: float) -> np.ndarray:
    """Return the ``weights`` of events, newest first, decayed and with dislikes bounded; float array (events,).

    The steps of an event are the newer events that speak for something: a dislike makes no like fade.

    >>> config = SpaceConfig(half_life_days=1)
    >>> decayed_weights([86_400.0, 86_400.0, 0.0], np.array([1.0, -0.5, 1.0]), config, 0.5).tolist()
    [1.0, -0.25, 0.25]
    """
    steps: np.ndarray = np.cumsum(weights > 0) - (weights > 0)
    return _bounded(decayed(moments, config.half_life_days, decay, steps) * weights)


def _bounded(weights: np.ndarray) -> np.ndarray:
    """Scale negative weights down if their sum exceeds ``MAX_DISLIKE_RATIO`` times the sum of the positive ones.

    >>> _bounded(np.array([2.0, -1.0, -3.0])).tolist()
    [2.0, -0.5, -1.5]
    >>> _bounded(np.array([-1.0])).tolist()
    [-1.0]
    """
    likes, dislikes = float(weights[weights > 0].sum()), float(-weights[weights < 0].sum())
    if not likes or dislikes <= MAX_DISLIKE_RATIO * likes:
        return weights
    return np.where(weights < 0, weights * (MAX_DISLIKE_RATIO * likes / dislikes), weights)


def summed(bags: Iterable[tuple[Mapping[int, float], float]]) -> dict[int, float]:
    """Return the weighted sum of bags, index → value."""
    total: dict[int, float] = {}
    for bag, weight in bags:
        for index, value in bag.items():
            total[index] = total.get(index, 0.0) + weight * value
    return total


def as_sparse(total: Mapping[int, float], width: int, smallest: float = 0.0) -> models.SparseVector | None:
    """Scale the ``width`` strongest positive entries to norm 1 and drop those below ``smallest``; None without any."""
    strongest, norm = _strongest(total, width), sparse_norm(total, width)
    if not strongest:
        return None
    scaled = [(index, value / norm) for index, value in strongest if value / norm >= smallest]
    return models.SparseVector(indices=[index for index, _ in scaled], values=[value for _, value in scaled])


def sparse_norm(total: Mapping[int, float], width: int) -> float:
    """Return the norm that :func:`as_sparse` divides by."""
    return float(np.linalg.norm([value for _, value in _strongest(total, width)]))


def _strongest(total: Mapping[int, float], width: int) -> list[tuple[int, float]]:
    positive = [(index, value) for index, value in total.items() if value > MIN_MASS]
    return sorted(positive, key=lambda pair: (-pair[1], pair[0]))[:width]
