"""What one event is about, and how much it says."""

from __future__ import annotations

from qdrant_client import models

from llmrec_qdrant.contracts import SpaceConfig
from llmrec_qdrant.ids import point_id
from llmrec_qdrant.layout import Key

__all__ = ["event_weight", "item_point"]


def event_weight(kind: str, value: float | None, config: SpaceConfig) -> float:
    """How much an event says for (or, below zero, against) what it is about.

    The weight of its type; a value on the rating scale scales it: from 0.5 just above the middle to 1
    at the top, and from 0 just below the middle to -0.5 at the bottom, since also a film rated low was
    chosen. A dislike is negative by its type and ignores the value.

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


def item_point(event: models.Record) -> str:
    """Point id of the item of an event."""
    payload = event.payload or {}
    return point_id("item", payload.get(Key.ITEM_ID) or "", payload.get(Key.TENANT) or None)
