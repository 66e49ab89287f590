"""The weight of an event: how much it says about its item, and how that fades with time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point

__all__ = ["decayed", "event_weight", "item_point"]


DAY = 86_400.0


def event_weight(kind: str, value: float | None, config: SpaceConfig) -> float:
    """Return how much an event speaks for its item or, below zero, against it.

    The base is the weight of the event's type. A rating scales it: by 0.5 just above the middle of the scale up to 1 at
    the top, and by 0 just below the middle down to -0.5 at the bottom. The factors are asymmetric because even a film
    rated low was chosen. A dislike is negative by its type and ignores the value.

    >>> [event_weight("rating", v, SpaceConfig()) for v in (5, 4, 3, 2, 1)]
    [2.0, 1.5, 1.0, -0.5, -1.0]
    """
    base = config.event_weights.get(kind, 1.0)
    if value is None or kind not in {"rating", "review"} or base <= 0:
        return base
    low, high = config.rating_scale
    middle = (low + high) / 2
    share = (min(max(value, low), high) - middle) / (high - middle)
    return base * (0.5 + 0.5 * share if share >= 0 else 0.5 * share)


def decayed(moments: Sequence[float], half_life: float, per_step: float) -> np.ndarray:
    """Return ``per_step^k · 0.5^(age / half-life)`` for the k-th newest event, float array (events,).

    ``moments`` are in seconds, newest first; ``half_life`` is in days. Age counts from the newest event, so the profile
    of an absent user does not change, and folding twice gives the same vectors.
    """
    if not len(moments):
        return np.zeros(0)
    ages = (moments[0] - np.asarray(moments, dtype=np.float64)) / DAY
    weights: np.ndarray = per_step ** np.arange(len(moments)) * 0.5 ** (ages / half_life)
    return weights


def item_point(event: Point) -> str:
    """Return the point id of an event's item."""
    return point_id("item", event.get(Key.ITEM_ID, ""), event.get(Key.TENANT) or None)
