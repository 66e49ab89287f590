"""What is computed once from a model's weights and then read from disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch

__all__ = ["digest"]


def digest(recipe: str, weights: Mapping[str, torch.Tensor]) -> str:
    """Hexadecimal SHA-256 (32 digits) of a recipe and of named weights: equal input, equal result."""
    found = hashlib.sha256(recipe.encode())
    for name, tensor in sorted(weights.items()):
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:32]
