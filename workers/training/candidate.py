"""Measures a model in training by the lists that users would get, in a trial space."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.space.layout import DENSE

from ..encoding import registry
from ..evaluation.splits import Halves, Target
from ..evaluation.trial_lists import fold_users
from ..storage.store import SpaceStore, Store
from .catalogue import Catalogue
from .comparison import Outcome
from .evaluator import Evaluator
from .learner import Learner

__all__ = ["Candidate"]

POINTS_PER_WRITE = 256


class Candidate:
    """Writes a learner's vectors into a blank trial space, folds users with it, and measures the lists."""

    def __init__(
        self, copy: SpaceStore, config: SpaceConfig, catalogue: Catalogue, evaluator: Evaluator, folder: Path,
        version: registry.Version,
    ) -> None:  # fmt: skip
        """``config`` is that of the trial space; ``version`` describes the model; drafts are written to ``folder``."""
        self._copy, self._config, self._catalogue = copy, config, catalogue
        self._evaluator, self._folder, self._version = evaluator, folder, version

    def ndcg(self, learner: Learner, targets: Sequence[Target]) -> float:
        """Return the mean NDCG of the fused query. Leg weights are fixed; choosing them per epoch would add noise."""
        self._upload(learner, targets)
        return float(self._evaluator.ndcg(self._copy, targets, self._evaluator.trained_weights).mean())

    def outcome(self, learner: Learner, halves: Halves) -> Outcome:
        """Measure the learner on held-out users."""
        self._upload(learner, [*halves.choosing, *halves.confirming])
        return self._evaluator.outcome(self._copy, [self._evaluator.trained_weights, self._evaluator.weights], halves)

    def _upload(self, learner: Learner, targets: Sequence[Target]) -> None:
        rows, items = learner.rows(), self._catalogue.items
        numbers = self._catalogue.number.items()
        self._write(self._copy.items, rows, [pair for pair in numbers if pair[1] < items])
        self._write(self._copy.texts, rows, [pair for pair in numbers if pair[1] >= items])
        draft = self._folder / f"draft-{uuid.uuid4().hex[:8]}"  # unique, since loaded encoders are cached by name
        draft.mkdir(parents=True)
        learner.save(draft)
        registry.seal(draft, replace(self._version, name=draft.name))
        fold_users(self._copy, self._config.model_copy(update={"model": str(draft)}), targets)
        shutil.rmtree(draft)

    def _write(self, target: Store, rows: np.ndarray, numbers: Sequence[tuple[str, int]]) -> None:
        readable = [(point, row) for point, row in numbers if rows[row].any()]
        for batch in batches(readable, POINTS_PER_WRITE):
            target.write_existing({point: {DENSE: rows[row].tolist()} for point, row in batch})
