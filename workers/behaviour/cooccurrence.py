"""Counts which items follow which in users' histories: a sparse matrix, in blocks of rows. Pure: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from qdrant_client import models
from scipy import sparse

from llmrec_qdrant.space.ids import sparse_index

__all__ = ["Interactions", "cooccurrence", "sparse_rows", "strengths"]


WINDOW = 10
"""Greatest distance, in events of one user, at which an item still follows another."""


BACKWARD_WEIGHT = 0.3
"""Weight of the opposite direction, relative to the direction of time."""


MAX_SOURCES = 200
"""Sources kept per item, strongest first."""


MAX_PAIRS = 20_000_000
"""Pairs of events held in memory at once; bounds memory to about a gigabyte."""


@dataclass(frozen=True)
class Interactions:
    """Positive events as integer columns, sorted by user and time: user ``users[k]`` took item ``items[k]``."""

    users: np.ndarray
    items: np.ndarray
    names: list[tuple[str, str]]
    """(tenant, item id) per item number."""
    n_events: int = 0
    """Events read, of any kind."""
    owners: list[tuple[str, str]] = field(default_factory=list)
    """(tenant, user id) per user number."""

    @property
    def popularity(self) -> np.ndarray:
        """Number of distinct users per item."""
        pairs = np.unique(np.stack([self.users, self.items]), axis=1) if len(self.users) else np.empty((2, 0), int)
        counts: np.ndarray = np.bincount(pairs[1], minlength=len(self.names))
        return counts


def cooccurrence(
    interactions: Interactions, distance: float = 1.0, pairs: int = MAX_PAIRS
) -> Iterator[sparse.csr_matrix]:
    """Yield the (items, items) matrix in blocks of consecutive rows.

    The value at (item, source) is the strength with which the item follows the source. A pair at ``d`` steps adds
    ``d^-distance``; ``pairs`` bounds the pairs of events per block.
    """
    size = len(interactions.names)
    events = np.bincount(interactions.items, minlength=size).astype(np.float64)
    ends = np.searchsorted(
        np.cumsum(events) * 2 * WINDOW, np.arange(1, 1 + 2 * WINDOW * len(interactions.items) // pairs) * pairs
    )
    popularity = interactions.popularity
    start = 0
    for end in [*np.unique(ends[(ends > 0) & (ends < size)]).tolist(), size]:
        yield strengths(interactions, np.arange(start, end), popularity, distance)
        start = end


def strengths(
    interactions: Interactions, rows: np.ndarray, popularity: np.ndarray, distance: float
) -> sparse.csr_matrix:
    """Compute some ``rows`` of the matrix, shape (rows, items); ``popularity`` is the number of users of every source."""
    size = len(interactions.names)
    place = np.full(size, -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    total = sparse.csr_matrix((len(rows), size), dtype=np.float64)
    for step in range(1, WINDOW + 1):
        if len(interactions.users) <= step:
            break
        before, after = interactions.items[:-step], interactions.items[step:]
        same = interactions.users[:-step] == interactions.users[step:]
        for target, source, weight in (
            (after, before, step**-distance),
            (before, after, BACKWARD_WEIGHT * step**-distance),
        ):
            at = place[target]
            mine = same & (at >= 0)
            values = np.full(int(mine.sum()), weight)
            total = total + sparse.csr_matrix((values, (at[mine], source[mine])), shape=total.shape)
    return (total @ sparse.diags(1.0 / np.sqrt(np.maximum(popularity, 1.0)))).tocsr()


def sparse_rows(
    blocks: Iterable[sparse.csr_matrix], names: list[tuple[str, str]]
) -> Iterator[tuple[int, models.SparseVector]]:
    """Yield (row number, sparse vector) for every row: its ``MAX_SOURCES`` strongest sources, by their sparse indices."""
    first = 0
    for block in blocks:
        yield from _rows_of(block, names, first)
        first += block.shape[0]


def _rows_of(
    matrix: sparse.csr_matrix, names: list[tuple[str, str]], first: int
) -> Iterator[tuple[int, models.SparseVector]]:
    for row in range(matrix.shape[0]):
        start, end = matrix.indptr[row], matrix.indptr[row + 1]
        columns, values = matrix.indices[start:end], matrix.data[start:end]
        order = np.lexsort((columns, -values))[:MAX_SOURCES]
        merged: dict[int, float] = {}
        for k in order:
            tenant, item = names[columns[k]]
            index = sparse_index(item, tenant or None)
            merged[index] = merged.get(index, 0.0) + float(values[k])
        yield first + row, models.SparseVector(indices=list(merged), values=list(merged.values()))
