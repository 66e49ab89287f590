"""Scales and centres the rows of a matrix."""

from __future__ import annotations

import numpy as np

__all__ = ["centred", "normalised"]


def normalised(rows: np.ndarray) -> np.ndarray:
    """Scale each row to norm 1, as float32; zero rows stay zero."""
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: np.ndarray = (rows / np.where(norms > 0, norms, 1.0)).astype(np.float32)
    return unit


def centred(rows: np.ndarray) -> np.ndarray:
    """Subtract from each row its own mean: the cosine of centred vectors is Pearson's correlation."""
    result: np.ndarray = rows - rows.mean(axis=-1, keepdims=True)
    return result
