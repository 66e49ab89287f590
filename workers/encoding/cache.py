"""Digests of weights: the cache keys of files that are computed once from a model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch

__all__ = ["digest"]


def digest(recipe: str, weights: Mapping[str, torch.Tensor]) -> str:
    """Return the first 32 hexadecimal digits of the SHA-256 of a recipe and of named weights."""
    sha256 = hashlib.sha256(recipe.encode())
    for name, tensor in sorted(weights.items()):
        sha256.update(name.encode())
        sha256.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return sha256.hexdigest()[:32]
