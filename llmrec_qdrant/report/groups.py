"""Groups topics by the similarity of their centroids: Ward's method (1963) on unit vectors, which makes groups of like size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Merge", "agglomerate", "cut", "order"]


@dataclass(frozen=True)
class Merge:
    """Two clusters that became one; clusters 0 to n - 1 are the inputs, merge k makes cluster n + k."""

    left: int
    right: int
    distance: float
    """Growth of the spread within clusters, as ``scipy.cluster.hierarchy.ward`` measures it; for two rows, their distance."""


def agglomerate(vectors: np.ndarray) -> list[Merge]:
    """Merge the rows (n, size) one pair after the other, nearest first; returns n - 1 merges."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    total = len(unit)
    distances = np.full((2 * total - 1, 2 * total - 1), np.inf)
    distances[:total, :total] = np.maximum(2 - 2 * unit @ unit.T, 0)  # squared
    np.fill_diagonal(distances, np.inf)
    sizes = np.ones(2 * total - 1)
    merges: list[Merge] = []
    for new in range(total, 2 * total - 1):
        left, right = sorted(int(end) for end in np.unravel_index(distances.argmin(), distances.shape))
        merges.append(Merge(left, right, float(distances[left, right]) ** 0.5))
        sizes[new] = sizes[left] + sizes[right]
        merged = _merged(distances, sizes, left, right)
        distances[new], distances[:, new] = merged, merged
        for gone in (left, right):
            distances[gone], distances[:, gone] = np.inf, np.inf
    return merges


def _merged(distances: np.ndarray, sizes: np.ndarray, left: int, right: int) -> np.ndarray:
    """Return the squared distances of a merged cluster to all others (Lance and Williams 1967)."""
    others = np.isfinite(distances[left]) & np.isfinite(distances[right])
    result = np.full(len(sizes), np.inf)
    apart = (sizes + sizes[left])[others] * distances[left, others] + (sizes + sizes[right])[others] * distances[
        right, others
    ]
    result[others] = (apart - sizes[others] * distances[left, right]) / (sizes[others] + sizes[left] + sizes[right])
    return result


def order(merges: Sequence[Merge]) -> list[int]:
    """Return the inputs so that no two branches of the tree cross."""
    total = len(merges) + 1
    members = {number: [number] for number in range(total)}
    for number, merge in enumerate(merges):
        members[total + number] = members[merge.left] + members[merge.right]
    return members[2 * total - 2]


def cut(merges: Sequence[Merge], groups: int) -> dict[int, int]:
    """Return input → group for at most ``groups`` groups, numbered in the order of the tree."""
    total = len(merges) + 1
    parents: dict[int, int] = {}
    for number, merge in enumerate(merges[: max(total - groups, 0)]):
        parents[merge.left] = parents[merge.right] = total + number
    roots = [_root(number, parents) for number in order(merges)]
    numbers = {root: number for number, root in enumerate(dict.fromkeys(roots))}
    return {number: numbers[_root(number, parents)] for number in range(total)}


def _root(number: int, parents: Mapping[int, int]) -> int:
    while number in parents:
        number = parents[number]
    return number
