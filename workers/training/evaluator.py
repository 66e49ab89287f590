"""Measures models by the lists that they produce in a trial space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.query.weights import MAX_REPEATS
from llmrec_qdrant.space.layout import DENSE

from ..evaluation.leg_weights import LEG_WEIGHTS
from ..evaluation.metrics import beats_noise
from ..evaluation.report import Report, no_report
from ..evaluation.splits import Halves, Target
from ..evaluation.trial_lists import ndcg_of
from ..storage.store import SpaceStore
from .comparison import Outcome

__all__ = ["Evaluator", "boosted"]


def boosted(weights: dict[Leg, float], factor: float) -> dict[Leg, float]:
    """Multiply the weight of the dense leg, up to the greatest ratio that a request can express.

    A dense weight of 0 starts from the smallest other weight: training may make the leg useful.
    """
    smallest = min((weight for leg, weight in weights.items() if leg != DENSE and weight > 0), default=0.0)
    own = weights.get(DENSE) or smallest
    return {**weights, DENSE: max(own, min(own * factor, MAX_REPEATS * smallest))}


@dataclass(frozen=True)
class Evaluator:
    """Requests lists in the way they will be requested after a rollout."""

    weights: dict[Leg, float]
    """Leg weights of the space."""
    trained_weights: dict[Leg, float]
    """Leg weights while epochs are compared: those of the space with a boosted dense leg."""
    limit: int
    exclude_seen: bool
    report: Report = no_report

    def ndcg(self, copy: SpaceStore, targets: Sequence[Target], weights: Mapping[Leg, float]) -> np.ndarray:
        """Return the NDCG of each target's list, float array (targets,)."""
        return ndcg_of(copy, targets, self.limit, weights=dict(weights), exclude_seen=self.exclude_seen)

    def outcome(self, copy: SpaceStore, start: Sequence[dict[Leg, float]], halves: Halves) -> Outcome:
        """Measure a model on the held-out half, with leg weights chosen on the other half."""
        weights = self.best_weights(copy, start, halves.choosing)
        dense = self.ndcg(copy, halves.confirming, {DENSE: 1.0})
        return Outcome(dense, self.ndcg(copy, halves.confirming, weights), weights)

    def best_weights(
        self, copy: SpaceStore, start: Sequence[dict[Leg, float]], targets: Sequence[Target]
    ) -> dict[Leg, float]:
        """Return the best of the ``start`` weights, unless others beat them by more than a standard error."""
        measured = [(self.ndcg(copy, targets, weights), weights) for weights in start]
        first, best = max(measured, key=lambda pair: pair[0].mean())
        highest = first.mean()
        others = [weights for weights in LEG_WEIGHTS if weights not in start]
        for done, weights in enumerate(others, 1):
            values = self.ndcg(copy, targets, weights)
            self.report("weighing the legs", done, len(others))
            if values.mean() > highest and beats_noise(values - first):
                best, highest = weights, values.mean()
        return best
