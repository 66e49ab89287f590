"""TODO: workers.training.judge."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models

from llmrec_qdrant.contracts.config import Leg, SpaceConfig
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.query.weights import MAX_REPEATS
from llmrec_qdrant.space.layout import DENSE, Space

from ..encoding import registry
from ..evaluation.evaluate import ndcg_of
from ..evaluation.metrics import interval, p_value
from ..evaluation.splits import Target
from ..evaluation.trial_space import Tell, fold, unheard
from ..evaluation.tune import LEG_WEIGHTS, more_than_luck
from ..storage import store
from .dataset import Catalogue
from .learner import Learner

__all__ = ["Outcome", "heavier"]


MORE = 1.05
"""Times the examples that make it worth to learn once more, from everything."""


@dataclass(frozen=True)
class Outcome:
    """What one model is worth on users nothing was chosen on."""

    dense: np.ndarray
    """NDCG of each user's list by the dense leg alone."""
    fused: np.ndarray
    weights: dict[Leg, float]
    """Leg weights of the fused query, chosen on the other users."""


def heavier(weights: dict[Leg, float], times: float) -> dict[Leg, float]:
    """Leg weights with the dense leg counting so many times as much; at most as often as a request can name it.

    A dense leg that counted nothing counts as much as that, times ``times``: trained, it is another.
    """
    least = min((weight for leg, weight in weights.items() if leg != DENSE and weight > 0), default=0.0)
    own = weights.get(DENSE) or least
    return {**weights, DENSE: max(own, min(own * times, MAX_REPEATS * least))}


@dataclass(frozen=True)
class _Judge:
    """Asks for lists in a trial space, in the way they will be asked for."""

    client: QdrantClient
    given: dict[Leg, float]
    """Leg weights of the space."""
    trained: dict[Leg, float]
    """The same, with the dense leg counting as much more as a trained one may."""
    limit: int
    exclude_seen: bool
    tell: Tell

    def ndcg(self, made: Space, targets: Sequence[Target], weights: Mapping[Leg, float]) -> np.ndarray:
        """Of each target's list."""
        return ndcg_of(self.client, made, targets, self.limit, weights=dict(weights), exclude_seen=self.exclude_seen)

    def outcome(
        self, made: Space, given: Sequence[dict[Leg, float]], choosing: Sequence[Target], confirming: Sequence[Target]
    ) -> Outcome:
        """Leg weights are chosen on one half for each model, as after a roll-out; both are judged on the other."""
        best = self.weighed(made, given, choosing)
        return Outcome(self.ndcg(made, confirming, {DENSE: 1.0}), self.ndcg(made, confirming, best), best)

    def weighed(self, made: Space, given: Sequence[dict[Leg, float]], targets: Sequence[Target]) -> dict[Leg, float]:
        """Leg weights that are best there: the better of the ``given`` ones, unless others beat it by a standard error."""
        tried = [(self.ndcg(made, targets, one), one) for one in given]
        own, kept = max(tried, key=lambda pair: pair[0].mean())
        worth = own
        others = [weights for weights in LEG_WEIGHTS if weights not in given]
        for done, weights in enumerate(others, 1):
            found = self.ndcg(made, targets, weights)
            self.tell("weighing the legs", done, len(others))
            if found.mean() > worth.mean() and more_than_luck(found - own):
                kept, worth = weights, found
        return kept


class _Bench:
    """Puts a learner's vectors into the trial space and asks for lists there."""

    def __init__(
        self, judge: _Judge, made: Space, config: SpaceConfig, catalogue: Catalogue, folder: Path, version: registry.Version
    ) -> None:  # fmt: skip
        self._judge, self._client, self._made, self._config = judge, judge.client, made, config
        self._catalogue, self._folder, self._version = catalogue, folder, version

    def look(self, learner: Learner, targets: Sequence[Target]) -> float:
        """NDCG of the fused query: one list per user, always with the same leg weights, or luck would choose the epoch."""
        self._put(learner, targets)
        return float(self._judge.ndcg(self._made, targets, self._judge.trained).mean())

    def outcome(self, learner: Learner, choosing: Sequence[Target], confirming: Sequence[Target]) -> Outcome:
        """What it is worth."""
        self._put(learner, [*choosing, *confirming])
        return self._judge.outcome(self._made, [self._judge.trained, self._judge.given], choosing, confirming)

    def _put(self, learner: Learner, targets: Sequence[Target]) -> None:
        rows = learner.rows()
        for collection, first in ((self._made.items, 0), (self._made.texts, self._catalogue.items)):
            mine = [one for one in self._catalogue.number.items() if (one[1] >= self._catalogue.items) == bool(first)]
            for some in batches(mine, 256):
                points = [
                    models.PointVectors(id=point, vector={DENSE: rows[place].tolist()})
                    for point, place in some
                    if rows[place].any()
                ]
                if points:
                    store.write_existing(self._client, collection, points)
        draft = self._folder / f"draft-{uuid.uuid4().hex[:8]}"  # a name of its own: encoders are remembered by name
        draft.mkdir(parents=True)
        learner.save(draft)
        registry.seal(draft, replace(self._version, name=draft.name))
        config = self._config.model_copy(update={"model": str(draft)})
        fold(self._client, self._made, config, targets, unheard)
        shutil.rmtree(draft)


def verdict(before: Outcome, after: Outcome, limit: int) -> tuple[dict[str, Any], bool]:
    """Figures, and whether the new model is better: its dense leg surely, and its lists not worse by a standard error.

    Surely: were it no better, it would look so in one of twenty trainings. (The question has a direction: the lower end of
    the interval of 90 %.)
    """
    dense, fused = after.dense - before.dense, after.fused - before.fused
    better = interval(dense, 0.9)[0] > 0 and not more_than_luck(-fused)
    low, high = interval(fused)
    metrics = {
        "at": limit,
        f"{DENSE} before": round(float(before.dense.mean()), 4),
        DENSE: round(float(after.dense.mean()), 4),
        "fused before": round(float(before.fused.mean()), 4),
        "fused": round(float(after.fused.mean()), 4),
        "gain of fused, 95 %": [round(low, 4), round(high, 4)],
        f"gain of {DENSE}, 95 %": [round(one, 4) for one in interval(dense)],
        "p": round(p_value(after.fused, before.fused), 4),
        "leg weights before": before.weights,
        "leg weights": after.weights,
    }
    return metrics, better
