"""What can be trained: a model, its optimizer, and steps that can be repeated bit by bit.

The state after step *n* depends on steps 1 to *n* alone. Random numbers of a step are drawn from its number, so a
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
"""One part in so many of the steps, over which the learning rate rises."""
MAX_GRADIENT = 1.0
"""Norm to which gradients are clipped."""


class Learner(ABC):
    """A model that learns step by step."""

    steps: int
    """Steps between two evaluations: an epoch, or several where examples are few."""
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
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), MAX_GRADIENT)
        self._optimizer.step()
        return float(loss.detach())

    @abstractmethod
    def _loss(self, number: int) -> Tensor:
        """Loss of the examples of a step."""

    def state(self) -> dict[str, Tensor]:
        """Everything the next step depends on."""
        return flatten(self._model, self._optimizer)

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from a state."""
        restore(state, self._model, self._optimizer)

    @abstractmethod
    def rows(self) -> np.ndarray:
        """Current vectors of the catalogue's sources, float32 (items + free texts, size)."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the files of a version."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Dimensions of a vector."""


def batch_rows(count: int, batch: int, number: int, seed: int) -> np.ndarray:
    """Which of ``count`` examples step ``number`` sees: each epoch visits all of them in an order of its own."""
    epoch, place = divmod(number, max(1, -(-count // batch)))
    return _order(count, seed, epoch)[place * batch : (place + 1) * batch]


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)


def learning_rate(highest: float, number: int, total: int) -> float:
    """Learning rate of a step: rises linearly over the first tenth of the steps, then falls to zero."""
    warm = max(1, total // WARM_UP_PART)
    return highest * min((number + 1) / warm, max(0.0, (total - number) / max(1, total - warm)))
