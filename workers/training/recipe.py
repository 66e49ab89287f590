"""Hyperparameters of a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmrec_qdrant.contracts.jobs import Method

__all__ = ["Recipe"]


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of a method. The defaults were chosen on validation users: docs/decisions/training.md."""

    method: Method = "towers"
    epochs: int = 6
    """Greatest number of epochs."""
    batch: int = 512
    """Examples per step."""
    rate: float = 1e-3
    """Highest learning rate."""
    temperature: float = 0.07
    """Divides the scores before the softmax."""
    hidden: int = 384
    """Hidden units of each MLP."""
    own: int = 128
    """Dimensions of the learned vector of a word or an item, the second block of a tower's vector."""
    width: int = 256
    """Dimensions of the third block."""
    drop: float = 0.5
    """Dropout of the hidden units, and of an item's words."""
    candidates: int = 4_096
    """Random candidates per step; a smaller catalogue competes as a whole."""
    hard: int = 1
    """Hard negatives per pair of texts, for the method ``encoder``."""
    patience: int = 3
    """Evaluations without a gain after which training stops."""
    dense_boost: float = 4.0
    """Factor on the weight of the dense leg while epochs are compared, and afterwards unless other weights prove better."""
    seed: int = 0

    @classmethod
    def of(cls, method: Method, **changes: Any) -> Recipe:
        """Return the defaults of a method with ``changes``; values of None are ignored."""
        defaults: dict[str, dict[str, Any]] = {
            "towers": {},
            "encoder": {"dense_boost": 1.0, "epochs": 2, "batch": 256, "rate": 2e-5, "temperature": 0.05},
            "texts": {"dense_boost": 1.0, "epochs": 1, "batch": 256, "rate": 2e-5, "temperature": 0.05},
        }
        changed = {name: value for name, value in changes.items() if value is not None}
        return cls(method=method, **{**defaults[method], **changed})
