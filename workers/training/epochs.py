"""The training loops: epochs until evaluations stop improving, then the same number of epochs on all events."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from ..evaluation.report import Report
from .checkpoint import Checkpoints, Progress
from .learner import Learner
from .recipe import Recipe

__all__ = ["CHECKPOINT_SECONDS", "Epochs"]

log = logging.getLogger("llmrec.worker")

CHECKPOINT_SECONDS = 20.0
"""Seconds between two checkpoints."""


class Epochs:
    """Runs the steps of a training, reports each of them, and resumes from checkpoints."""

    def __init__(self, recipe: Recipe, checkpoints: Checkpoints, progress: Progress, report: Report) -> None:
        self._recipe, self._checkpoints, self._report = recipe, checkpoints, report
        self.progress = progress
        self._saved_at = time.monotonic()

    def choose(self, learner: Learner, evaluate: Callable[[], float], beat: Callable[[], None]) -> None:
        """Train until ``patience`` consecutive evaluations show no gain; the learner ends in its best state.

        ``evaluate`` returns the NDCG of the learner's current state; ``beat`` is called at every checkpoint.
        """
        progress, total = self.progress, learner.steps * self._recipe.epochs
        if progress.stage == "choosing":
            if progress.step:
                self._checkpoints.load_latest(learner, progress.identity)
            while True:
                if progress.step == len(progress.evaluations) * learner.steps:
                    self._evaluate(learner, evaluate(), beat)
                if progress.step >= total or self._out_of_patience():
                    break
                self._step(learner, total, beat)
            progress.stage, progress.step = "everything", 0
            self._save(learner, beat)
        self._checkpoints.load_best(learner)

    def repeat(self, learner: Learner) -> None:
        """Train for the best number of epochs, without evaluations."""
        progress, total = self.progress, learner.steps * self._recipe.epochs
        if progress.step:
            self._checkpoints.load_latest(learner, progress.identity)
        while progress.step < learner.steps * progress.best:
            self._step(learner, total, lambda: None)

    def _evaluate(self, learner: Learner, ndcg: float, beat: Callable[[], None]) -> None:
        progress = self.progress
        improved = ndcg > max(progress.evaluations, default=-math.inf)
        if progress.evaluations:
            progress.losses.append(progress.loss / learner.steps)
        progress.evaluations.append(ndcg)
        progress.loss = 0.0
        epoch = len(progress.evaluations) - 1
        log.info("epoch %d of %d: NDCG %.4f", epoch, self._recipe.epochs, ndcg)
        if improved:
            progress.best = epoch
            self._checkpoints.save_best(learner, progress)
        self._save(learner, beat)

    def _out_of_patience(self) -> bool:
        return len(self.progress.evaluations) - 1 - self.progress.best >= self._recipe.patience

    def _step(self, learner: Learner, total: int, beat: Callable[[], None]) -> None:
        progress = self.progress
        loss = learner.step(progress.step, total)
        progress.step += 1
        progress.loss += loss
        best = f", NDCG {max(progress.evaluations):.4f}" if progress.evaluations else ""
        self._report(f"{progress.stage}: loss {loss:.2f}{best}", progress.step, total)
        if time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
            self._save(learner, beat)

    def _save(self, learner: Learner, beat: Callable[[], None]) -> None:
        beat()
        self._checkpoints.save(learner, self.progress)
        self._saved_at = time.monotonic()
