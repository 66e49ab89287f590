"""Places vectors in two dimensions so that neighbours stay neighbours.

UMAP (McInnes, Healy and Melville 2018) in numpy, with these simplifications: every edge of the symmetric graph of nearest
neighbours weighs the same, and all points move at once, by the mean of the forces on each.
"""

from __future__ import annotations

import numpy as np

__all__ = ["neighbours", "principal_components", "project"]

NEIGHBOURS = 15
EPOCHS = 200
NEGATIVES = 5
"""Random points per edge that push its ends away."""
SPREAD_A, SPREAD_B = 1.577, 0.895
"""Curve of the similarity in two dimensions, for a minimum distance of 0.1."""
BLOCK = 1_024
"""Rows of similarities computed at once."""
MAX_FORCE = 4.0
FEWEST = 20
"""Points below which principal components are used: there is no neighbourhood to keep."""


def project(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return a float array (n, 2) for vectors (n, size); the same input gives the same picture."""
    unit = _unit(vectors)
    if len(unit) < FEWEST:
        return principal_components(unit)
    heads, tails = _edges(neighbours(unit, NEIGHBOURS))
    places = principal_components(unit)
    places = 10 * places / np.maximum(np.abs(places).max(), 1e-9)
    random = np.random.default_rng(seed)
    places += random.normal(0, 1e-3, places.shape)  # equal vectors start apart
    degree = np.bincount(heads, minlength=len(unit))[:, None]
    for epoch in range(EPOCHS):
        rate = 1 - epoch / EPOCHS
        forces = _attraction(places, heads, tails)
        for _ in range(NEGATIVES):
            forces += _repulsion(places, heads, random.integers(len(unit), size=len(heads)))
        places += rate * np.clip(forces / np.sqrt(degree), -MAX_FORCE, MAX_FORCE)
    return np.asarray(places - places.mean(axis=0))


def principal_components(vectors: np.ndarray) -> np.ndarray:
    """Return the first two principal components (n, 2), each with the sign that makes its largest entry positive."""
    centred = (vectors - vectors.mean(axis=0)).astype(np.float64)
    values, axes = np.linalg.eigh(centred.T @ centred)
    places = centred @ axes[:, np.argsort(values)[::-1][:2]]
    if places.shape[1] < 2:
        places = np.hstack([places, np.zeros((len(places), 2 - places.shape[1]))])
    largest = places[np.abs(places).argmax(axis=0), [0, 1]]
    return np.asarray(places * np.where(largest < 0, -1.0, 1.0))


def neighbours(unit: np.ndarray, count: int) -> np.ndarray:
    """Return the ``count`` nearest rows of each row of unit vectors by cosine, without itself: int (n, count)."""
    count = min(count, len(unit) - 1)
    found = []
    for start in range(0, len(unit), BLOCK):
        cosines = unit[start : start + BLOCK] @ unit.T
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -np.inf
        found.append(np.argpartition(cosines, -count, axis=1)[:, -count:])
    return np.concatenate(found)


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, dtype=np.float32)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def _edges(nearest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return heads and tails of the graph, in which every edge stands in both directions once."""
    size = len(nearest)
    rows = np.repeat(np.arange(size), nearest.shape[1])
    both = np.unique(np.concatenate([rows * size + nearest.ravel(), nearest.ravel() * size + rows]))
    return both // size, both % size


def _attraction(places: np.ndarray, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
    apart = places[heads] - places[tails]
    squared = np.maximum((apart**2).sum(axis=1), 1e-6)
    pull = -2 * SPREAD_A * SPREAD_B * squared ** (SPREAD_B - 1) / (1 + SPREAD_A * squared**SPREAD_B)
    return _summed(apart, pull, heads, len(places))


def _repulsion(places: np.ndarray, heads: np.ndarray, others: np.ndarray) -> np.ndarray:
    apart = places[heads] - places[others]
    squared = (apart**2).sum(axis=1)
    push = 2 * SPREAD_B / ((0.001 + squared) * (1 + SPREAD_A * squared**SPREAD_B))
    return _summed(apart, push, heads, len(places))


def _summed(apart: np.ndarray, strength: np.ndarray, heads: np.ndarray, size: int) -> np.ndarray:
    forces = np.clip(apart * strength[:, None], -MAX_FORCE, MAX_FORCE)
    return np.stack([np.bincount(heads, forces[:, axis], size) for axis in (0, 1)], axis=1)
