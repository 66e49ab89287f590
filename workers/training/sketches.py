"""Third blocks of items: sketches of what was taken before them, and their storage by text."""

from __future__ import annotations

import numpy as np
from scipy import sparse

__all__ = ["as_stored", "by_text", "sketches"]

MAX_LENGTH_PERCENTILE = 99.0
"""Percentile of the lengths above which sketches are cut: a few very popular items would outweigh all text."""


def sketches(cooccurrence: sparse.csr_matrix, codes: np.ndarray) -> np.ndarray:
    """Sums of the codes of what was taken before each item, float32 (items, width), of length 1 at most.

    ``cooccurrence``: (items, items), the row was taken after the column. ``codes``: (items, width).
    """
    if not cooccurrence.nnz:
        return np.zeros_like(codes)
    rows = np.asarray(cooccurrence @ codes, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    longest = np.percentile(lengths[lengths > 0], MAX_LENGTH_PERCENTILE)
    cut: np.ndarray = (rows / np.maximum(lengths, longest)).astype(np.float32)
    return cut


def by_text(digests: np.ndarray, *tables: np.ndarray) -> tuple[np.ndarray, ...]:
    """Distinct digests in rising order, and for each table one row per digest: the mean over items that share a text.

    Texts whose row in the first table is zero are left out.
    """
    distinct, places, counts = np.unique(digests, return_inverse=True, return_counts=True)
    means = []
    for rows in tables:
        sums = np.zeros((len(distinct), rows.shape[1]), dtype=np.float32)
        np.add.at(sums, places, rows)
        means.append(as_stored(sums / counts[:, None]))
    present = means[0].any(axis=1)
    return distinct[present], *(rows[present] for rows in means)


def as_stored(rows: np.ndarray) -> np.ndarray:
    """Rounded to float16, in which versions store sketches; float32."""
    return rows.astype(np.float16).astype(np.float32)
