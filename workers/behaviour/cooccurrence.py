"""Counts which items follow which in users' histories: a sparse matrix, in blocks of rows. Pure: arrays in, arrays out.

One account is one voice: a user adds to a pair of items once, with the closest of its occurrences, however often they
repeat it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

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


MAX_PAIRS = 6_000_000
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
        counts: np.ndarray = np.bincount(self._distinct[0] % max(len(self.names), 1), minlength=len(self.names))
        return counts

    @property
    def slots(self) -> np.ndarray:
        """Number of the (user, item) pair of each event; as many numbers as distinct pairs."""
        return self._distinct[1]

    @cached_property
    def repeating(self) -> np.ndarray:
        """Whether the user of each event took any item more than once, boolean array (events,)."""
        _, slots, counts = self._distinct
        users = np.zeros(int(self.users.max(initial=-1)) + 1, dtype=bool)
        users[self.users[counts[slots] > 1]] = True
        repeating: np.ndarray = users[self.users]
        return repeating

    @cached_property
    def _distinct(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        keys = self.users.astype(np.int64) * max(len(self.names), 1) + self.items
        distinct, slots, counts = np.unique(keys, return_inverse=True, return_counts=True)
        return distinct, slots.reshape(-1).astype(np.int32), counts


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
    repeated: list[tuple[float, np.ndarray, np.ndarray]] = []
    for weight, target, source in _pairs(interactions, distance):
        mine = place[interactions.items[target]] >= 0
        again = interactions.repeating[target]
        total = total + _counted(interactions, place, target[mine & ~again], source[mine & ~again], weight, total.shape)
        repeated.append((weight, target[mine & again], source[mine & again]))
    total = total + _closest(interactions, place, repeated, total.shape)
    return (total @ sparse.diags(source_scale(popularity))).tocsr()


def source_scale(popularity: np.ndarray) -> np.ndarray:
    """Return the factor of each source: one over the root of its number of users."""
    scale: np.ndarray = 1.0 / np.sqrt(np.maximum(popularity, 1.0))
    return scale


def _pairs(interactions: Interactions, distance: float) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Yield (weight, targets, sources): events of one user at each distance, in both directions."""
    for step in range(1, WINDOW + 1):
        (near,) = np.nonzero(interactions.users[:-step] == interactions.users[step:])
        before = near.astype(np.int32)
        yield step**-distance, before + step, before
        yield BACKWARD_WEIGHT * step**-distance, before, before + step


def _closest(
    interactions: Interactions,
    place: np.ndarray,
    repeated: list[tuple[float, np.ndarray, np.ndarray]],
    shape: tuple[int, int],
) -> sparse.csr_matrix:
    """Count each pair of items once per user, with its greatest weight; ``repeated`` as from :func:`_pairs`."""
    repeated.sort(key=lambda part: -part[0])
    target, source = (np.concatenate([part[side] for part in repeated]) for side in (1, 2))
    ends = np.cumsum([len(part[1]) for part in repeated])
    slots = interactions.slots
    keys = slots[target].astype(np.int64) * (len(slots) + 1) + slots[source]
    _, first = np.unique(keys, return_index=True)
    weight = np.array([part[0] for part in repeated])[np.searchsorted(ends, first, side="right")]
    return _counted(interactions, place, target[first], source[first], weight, shape)


def _counted(
    interactions: Interactions,
    place: np.ndarray,
    target: np.ndarray,
    source: np.ndarray,
    weight: np.ndarray | float,
    shape: tuple[int, int],
) -> sparse.csr_matrix:
    values = np.broadcast_to(weight, target.shape).astype(np.float64)
    return sparse.csr_matrix((values, (place[interactions.items[target]], interactions.items[source])), shape=shape)


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
