"""Compares a trained model with the current model of a space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.space.layout import DENSE

from ..evaluation.metrics import interval, p_value

__all__ = ["Outcome", "Verdict", "compare"]

Verdict = Literal["better", "worse", "cannot tell"]

ONE_SIDED = 0.9
"""Confidence of the two-sided interval whose lower bound corresponds to a one-sided test at 5 %."""


@dataclass(frozen=True)
class Outcome:
    """NDCG per held-out user of one model, float arrays (users,)."""

    dense: np.ndarray
    """NDCG of the dense leg alone."""
    fused: np.ndarray
    """NDCG of all legs."""
    weights: dict[Leg, float]
    """Leg weights of the fused query, chosen on other users."""


def compare(before: Outcome, after: Outcome, limit: int) -> dict[str, Any]:
    """Return the metrics of a version, with the verdict on it.

    The lists that users get decide: ``better`` and ``worse`` need a difference of the fused NDCG at the 5 % level,
    one-sided. Between them, the held-out users ``cannot tell``.
    """
    dense, fused = after.dense - before.dense, after.fused - before.fused
    return {
        "verdict": _verdict(fused),
        "at": limit,
        f"{DENSE} before": round(float(before.dense.mean()), 4),
        DENSE: round(float(after.dense.mean()), 4),
        "fused before": round(float(before.fused.mean()), 4),
        "fused": round(float(after.fused.mean()), 4),
        "gain of fused, 95 %": [round(bound, 4) for bound in interval(fused)],
        f"gain of {DENSE}, 95 %": [round(bound, 4) for bound in interval(dense)],
        "p": round(p_value(after.fused, before.fused), 4),
        "leg weights before": before.weights,
        "leg weights": after.weights,
    }


def _verdict(gains: np.ndarray) -> Verdict:
    low, high = interval(gains, ONE_SIDED)
    return "better" if low > 0 else "worse" if high < 0 else "cannot tell"
