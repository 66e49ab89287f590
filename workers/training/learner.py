"""What can be trained, each as steps that can be repeated: the state after step *n* depends on nothing but steps 1 to *n*.

Random numbers of a step are drawn from its number, so a training that is resumed goes on as it would have.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llmrec_qdrant.contracts.jobs import Method

from ..encoding import towers

__all__ = ["Learner", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """How a method learns. The defaults were chosen on validation users: docs/decisions/training.md."""

    method: Method = "towers"
    epochs: int = 6
    batch: int = 512
    rate: float = 1e-3
    temperature: float = 0.07
    hidden: int = 384
    own: int = 128
    """Numbers of a learned vector, of a word or an item: the second block of a tower's vector."""
    width: int = 256
    """Numbers of the third block."""
    drop: float = 0.5
    """Share of the hidden units, and of an item's words, that a step leaves out."""
    candidates: int = 4_096
    """Items that compete at each step; all, where there are fewer."""
    hard: int = 1
    """Hard negatives per pair, of the encoder."""
    patience: int = 3
    """Looks without a gain after which training stops."""
    denser: float = 4.0
    """What the weight of the dense leg is multiplied by while epochs are compared, and unless others prove better."""
    seed: int = 0

    @classmethod
    def of(cls, method: Method, **changes: Any) -> Recipe:
        """The recipe of a method, with changes."""
        own: dict[str, dict[str, Any]] = {
            "towers": {},
            "encoder": {"denser": 1.0, "epochs": 2, "batch": 256, "rate": 2e-5, "temperature": 0.05},
            "texts": {"denser": 1.0, "epochs": 1, "batch": 256, "rate": 2e-5, "temperature": 0.05},
        }
        return cls(method=method, **{**own[method], **{name: one for name, one in changes.items() if one is not None}})


class Learner(ABC):
    """Something that learns step by step: a model and its optimizer, and the loss of a step."""

    steps: int
    """Between two looks: an epoch, or a few of them where examples are few."""
    _recipe: Recipe
    _device: str
    _model: Any
    _optimizer: torch.optim.Optimizer

    def step(self, number: int, total: int) -> float:
        """Take step ``number`` of ``total``; returns its loss."""
        torch.manual_seed(self._recipe.seed * 1_000_003 + number)
        self._model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = _rate(self._recipe, number, total) * group.get("faster", 1.0)
        self._optimizer.zero_grad()
        with _mixed(self._device):
            loss = self._loss(number)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        return float(loss.detach())

    @abstractmethod
    def _loss(self, number: int) -> Tensor:
        """Of the examples of a step."""

    def state(self) -> dict[str, Tensor]:
        """Everything the next step depends on: weights and optimizer."""
        return _flat(self._model, self._optimizer)

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from a state."""
        _unflat(state, self._model, self._optimizer)

    @abstractmethod
    def rows(self) -> np.ndarray:
        """Vectors of the catalogue's sources (items, then free texts), as they are now."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the files of a version."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Numbers in a vector."""


def _slice(count: int, batch: int, number: int, seed: int) -> np.ndarray:
    """Which examples step ``number`` sees: every epoch all of them once, in an order of its own."""
    epoch, place = divmod(number, max(1, -(-count // batch)))
    return _order(count, seed, epoch)[place * batch : (place + 1) * batch]


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)


def _rate(recipe: Recipe, number: int, total: int) -> float:
    """Up over the first tenth of the steps, then down to zero."""
    warm = max(1, total // 10)
    return recipe.rate * min((number + 1) / warm, max(0.0, (total - number) / max(1, total - warm)))


@lru_cache(maxsize=1)
def _precision(device: str) -> torch.dtype:
    """bfloat16 where it is faster here: on some CPUs it is emulated and a hundred times slower."""
    if device != "cpu":
        return torch.bfloat16
    spent = {}
    for kind in (torch.float32, torch.bfloat16):
        some = torch.ones(256, 512, dtype=kind)
        _ = some @ some.T
        began = time.perf_counter()
        for _ in range(3):
            _ = some @ some.T
        spent[kind] = time.perf_counter() - began
    return torch.bfloat16 if spent[torch.bfloat16] < 0.7 * spent[torch.float32] else torch.float32


def _mixed(device: str) -> Any:
    return torch.autocast(device, torch.bfloat16, enabled=_precision(device) == torch.bfloat16)


def device() -> str:
    """Where training runs."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _flat(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Weights and what the optimizer remembers of them, as one table of tensors."""
    found = {f"model.{name}": tensor.detach().cpu().contiguous() for name, tensor in _own(model).items()}
    for number, one in optimizer.state_dict()["state"].items():
        found |= {
            f"optimizer.{number}.{name}": torch.as_tensor(value).cpu().contiguous() for name, value in one.items()
        }
    return found


def _own(model: torch.nn.Module) -> dict[str, Tensor]:
    """Each tensor once, under the first of its names: safetensors refuses two names of one."""
    seen: dict[int, str] = {}
    return {
        name: tensor for name, tensor in model.state_dict().items()
        if seen.setdefault(tensor.data_ptr() or id(tensor), name) == name
    }  # fmt: skip


def _unflat(state: dict[str, Tensor], model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    model.load_state_dict(towers.under("model.", state), strict=False)
    kept: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            number, _, what = rest.partition(".")
            kept.setdefault(int(number), {})[what] = tensor.clone()
    optimizer.load_state_dict({**optimizer.state_dict(), "state": kept})
