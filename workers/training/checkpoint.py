"""Checkpoints: the state and progress of a learner, in files that are replaced atomically."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from .learner import Learner

__all__ = ["BEST", "CURRENT", "Checkpoints", "Progress"]

CURRENT, BEST = "checkpoint.safetensors", "best.safetensors"


@dataclass
class Progress:
    """The progress of a training."""

    identity: str = ""
    """Digest of the examples and the recipe; a training with another identity starts over."""
    step: int = 0
    """Number of steps taken in this stage."""
    evaluations: list[float] = field(default_factory=list)
    """NDCG before training and after each epoch."""
    losses: list[float] = field(default_factory=list)
    """Mean loss of each epoch."""
    loss: float = 0.0
    """Sum of the losses since the last evaluation."""
    best: int = 0
    """Index of the best evaluation, which equals the number of epochs before it."""
    stage: str = "choosing"
    """``choosing`` while the number of epochs is chosen, then ``everything`` while learning from all events."""


class Checkpoints:
    """The current and the best state of a training, in its folder."""

    def __init__(self, folder: Path) -> None:
        self._current, self._best = folder / CURRENT, folder / BEST

    def save(self, learner: Learner, progress: Progress) -> None:
        """Replace the current state."""
        _write(self._current, learner, progress)

    def save_best(self, learner: Learner, progress: Progress) -> None:
        """Replace the best state."""
        _write(self._best, learner, progress)

    def latest(self, identity: str) -> Progress | None:
        """Return the furthest progress of a training; None if it has no checkpoint.

        The best state is written first: if its writer was killed right after, it is ahead of the current state.
        """
        latest = self._latest(identity)
        return latest[0] if latest else None

    def load_latest(self, learner: Learner, identity: str) -> None:
        """Continue from the state of :meth:`latest`."""
        latest = self._latest(identity)
        if latest:
            learner.load(load_file(latest[1]))

    def load_best(self, learner: Learner) -> None:
        """Return to the best state."""
        learner.load(load_file(self._best))

    def _latest(self, identity: str) -> tuple[Progress, Path] | None:
        stored = [(progress, path) for path in (self._current, self._best) if (progress := _read(path))]
        mine = [pair for pair in stored if pair[0].identity == identity]
        return max(mine, key=lambda pair: _order(pair[0]), default=None)


def _order(progress: Progress) -> tuple[bool, int, int]:
    return progress.stage != "choosing", len(progress.evaluations), progress.step


def _write(path: Path, learner: Learner, progress: Progress) -> None:
    """Replace a file atomically: a reader sees the old or the new one, never a part."""
    scratch = path.with_suffix(".new")
    save_file(learner.state(), scratch, metadata={"progress": json.dumps(asdict(progress))})
    os.replace(scratch, path)


def _read(path: Path) -> Progress | None:
    if not path.is_file():
        return None
    with safe_open(path, "pt") as file:
        return Progress(**json.loads(file.metadata()["progress"]))
