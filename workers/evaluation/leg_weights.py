"""Weights of the legs that are worth trying."""

from __future__ import annotations

from collections.abc import Sequence

from llmrec_qdrant.contracts.config import LEGS, Leg

__all__ = ["LEG_WEIGHTS"]

LEG_RATIOS = (
    (1, 1, 1), (1, 1, 2), (1, 2, 3), (1, 2, 4), (1, 1, 4), (1, 1, 6), (1, 2, 1), (2, 1, 1), (2, 1, 2), (3, 1, 1),
    (3, 1, 2), (4, 1, 2), (4, 2, 1), (6, 1, 2),
)  # fmt: skip
LEG_WEIGHTS: Sequence[dict[Leg, float]] = [dict(zip(LEGS, map(float, ratio), strict=True)) for ratio in LEG_RATIOS]
