"""The base class of learners: a model, its optimizer, and steps that are reproducible bit by bit.

The state after step *n* depends on steps 1 to *n* alone. The random numbers of a step are seeded by its number, so a
resumed training continues as if it had never stopped.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .precision import mixed_precision
from .recipe import Recipe
from .state import flatten, restore

__all__ = ["Learner", "batch_rows"]

WARM_UP_PART = 10
"""The learning rate rises over one part in this many of the steps."""
MAX_GRADIENT = 1.0
"""Norm to which gradients are clipped."""


class Learner(ABC):
    """A model that learns step by step."""

    steps: int
    """Steps between two evaluations: one epoch, or several if there are few examples."""
    _recipe: Recipe
    _device: str
    _model: Any
    _optimizer: torch.optim.Optimizer

    def step(self, number: int, total: int) -> float:
        """Take step ``number`` of ``total``, counted from 0; returns the loss."""
        torch.manual_seed(self._recipe.seed * 1_000_003 + number)
        self._model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self._recipe.rate, number, total) * group.get("rate_factor", 1.0)
        self._optimizer.zero_grad()
        with mixed_precision(self._device):
            loss = self._loss(number)
        self._backward(loss)
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), MAX_GRADIENT)
        self._optimizer.step()
        return float(loss.detach())

    def _backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss to those of the weights."""
        loss.backward()  # type: ignore[no-untyped-call]

    @abstractmethod
    def _loss(self, number: int) -> Tensor:
        """Return the loss of the examples of a step."""

    def state(self) -> dict[str, Tensor]:
        """Return everything that the next step depends on."""
        return flatten(self._model, self._optimizer)

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from a state."""
        restore(state, self._model, self._optimizer)

    @abstractmethod
    def rows(self) -> np.ndarray:
        """Return the current vectors of the catalogue's sources, float32 (items + free texts, size)."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the files of a version."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Dimensions of a vector."""


def batch_rows(count: int, batch: int, number: int, seed: int) -> np.ndarray:
    """Return which of ``count`` examples step ``number`` uses; each epoch visits all of them in its own random order."""
    epoch, place = divmod(number, max(1, -(-count // batch)))
    return _order(count, seed, epoch)[place * batch : (place + 1) * batch]


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)


def learning_rate(highest: float, number: int, total: int) -> float:
    """Return the learning rate of a step: rises linearly over the first tenth of the steps, then falls to zero."""
    warm = max(1, total // WARM_UP_PART)
    return highest * min((number + 1) / warm, max(0.0, (total - number) / max(1, total - warm)))
