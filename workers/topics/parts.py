"""Splits a sample into the parts that are clustered apart. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmrec_qdrant.contracts.answers import MIN_TOPIC_ITEMS

from . import clusters

__all__ = ["parts_of", "share"]

SEPARATE_SHARE = 0.1
"""Share of texts without a dense vector from which these are clustered separately."""


def parts_of(readable: Sequence[bool]) -> list[np.ndarray]:
    """Return the parts that are clustered separately, as row numbers: texts that the model cannot read, if there are many.

    ``readable`` says of each text whether it has a dense vector.
    """
    mask, count = np.array(readable, dtype=bool), len(readable)
    dense, blind = np.flatnonzero(mask), np.flatnonzero(~mask)
    separate = len(dense) >= clusters.MIN_DENSE_SHARE * count and len(blind) >= max(
        MIN_TOPIC_ITEMS, SEPARATE_SHARE * count
    )
    return [dense, blind] if separate else [np.arange(count)]


def share(number: int, sizes: Sequence[int], place: int) -> int:
    """Return how many of ``number`` topics go to the part at ``place``.

    >>> [share(5, [60, 40], place) for place in (0, 1)], [share(2, [99, 1], place) for place in (0, 1)]
    ([3, 2], [1, 1])
    """
    first = min(max(1, round(number * sizes[0] / sum(sizes))), number - 1) if len(sizes) > 1 else number
    return first if place == 0 else number - first
