"""The third blocks of items: sketches of the items taken before them, stored by text."""

from __future__ import annotations

import numpy as np
from scipy import sparse

__all__ = ["as_stored", "by_text", "sketches"]

MAX_LENGTH_PERCENTILE = 99.0
"""Percentile of the lengths to which sketches are limited: a few very popular items would outweigh all text."""


def sketches(cooccurrence: sparse.csr_matrix, codes: np.ndarray) -> np.ndarray:
    """Sum the codes of the items taken before each item; returns float32 (items, width), of length at most 1.

    ``cooccurrence``, (items, items), says how strongly the row follows the column; ``codes`` are (items, width).
    """
    if not cooccurrence.nnz:
        return np.zeros_like(codes)
    rows = np.asarray(cooccurrence @ codes, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    longest = np.percentile(lengths[lengths > 0], MAX_LENGTH_PERCENTILE)
    cut: np.ndarray = (rows / np.maximum(lengths, longest)).astype(np.float32)
    return cut


def by_text(digests: np.ndarray, *tables: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the distinct digests in ascending order and, per table, their rows averaged over items that share a text.

    Leaves out texts whose row in the first table is zero.
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
    """Round to float16, the format in which versions store sketches; returns float32."""
    return rows.astype(np.float16).astype(np.float32)
