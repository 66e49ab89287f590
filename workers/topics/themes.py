"""Groups topics into themes, the upper of two levels. Pure: arrays in, arrays and names out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..behaviour.vectors import normalised

__all__ = ["grouped", "how_many_themes", "joined"]

MIN_THEMED_TOPICS = 24
"""Fewest topics that are worth a second level: fewer are looked over at once, and a theme of few topics has no words of its own."""


def how_many_themes(topics: int) -> int:
    """Return the number of themes: ``√topics``, and none for fewer than ``MIN_THEMED_TOPICS`` topics.

    >>> how_many_themes(23), how_many_themes(24), how_many_themes(49)
    (0, 5, 7)
    """
    return round(math.sqrt(topics)) if topics >= MIN_THEMED_TOPICS else 0


def _directions(centroids: np.ndarray) -> np.ndarray:
    """Return the directions of centroids as seen from their mean: what all topics of a catalogue share tells none apart."""
    return normalised(centroids - centroids.mean(axis=0))


def grouped(centroids: np.ndarray, number: int) -> np.ndarray:
    """Return the theme of each topic, numbered from 0: Ward's hierarchical merging of the centroids (topics, dimensions).

    >>> grouped(np.array([[1.0, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]]), 2).tolist()
    [0, 0, 1, 1]
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    themes = fcluster(linkage(_directions(centroids), method="ward"), number, criterion="maxclust")
    first = {theme: place for place, theme in enumerate(dict.fromkeys(themes.tolist()))}
    return np.array([first[theme] for theme in themes.tolist()])


def joined(centroids: np.ndarray, themes: Sequence[str]) -> list[str]:
    """Give each topic without a theme that of the nearest topic with one; the others keep theirs.

    >>> joined(np.array([[1.0, 0], [0, 1], [0.1, 0.9]]), ["films", "books", ""])
    ['films', 'books', 'books']
    """
    known = [place for place, theme in enumerate(themes) if theme]
    if not known:
        return list(themes)
    directions = _directions(centroids)
    nearest = (directions @ directions[known].T).argmax(axis=1)
    return [theme or themes[known[int(nearest[place])]] for place, theme in enumerate(themes)]
