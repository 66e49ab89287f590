"""Turns leg weights into the number of times that a request repeats each leg."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from llmrec_qdrant.contracts.config import LEGS, Leg
from llmrec_qdrant.errors import InvalidInput, show

__all__ = ["MAX_REPEATS", "multiplicities"]

MAX_REPEATS = 6
"""Times that one request repeats a leg."""

CLOSE_ENOUGH = 0.05
"""Largest relative error of a leg's share that is accepted for the sake of smaller numbers."""


def multiplicities(weights: Mapping[Leg, float], largest: int = MAX_REPEATS) -> dict[Leg, int]:
    """Return the smallest whole numbers, at most ``largest`` each, in the ratio of ``weights`` (within 5 % if possible).

    Raises :class:`InvalidInput` for an unknown leg, a negative or infinite weight, or no weight above zero.

    >>> multiplicities({"dense": 0.5, "tfidf": 0.5, "collab": 1.0})
    {'dense': 1, 'tfidf': 1, 'collab': 2}
    >>> multiplicities({"dense": 1.0, "tfidf": 0.0, "collab": 0.0})
    {'dense': 1}
    """
    if not _are_weights(weights):
        raise InvalidInput(
            f"weights must be a number of zero or more per leg ({', '.join(LEGS)}), and at least one above zero, "
            f"not {show(weights)}"
        )
    shares = {leg: weights[leg] / max(weights.values()) for leg in LEGS if weights.get(leg, 0) > 0}
    return _smallest(shares, largest)


def _smallest(shares: Mapping[Leg, float], largest: int) -> dict[Leg, int]:
    """Return whole numbers for ``shares``, which are relative to the largest weight."""

    def rounded(scale: int) -> dict[Leg, int]:
        return {leg: max(1, round(share * scale)) for leg, share in shares.items()}

    def error(scale: int) -> float:
        counts = rounded(scale)
        return max(abs(counts[leg] / max(counts.values()) - share) / share for leg, share in shares.items())

    scales = range(1, largest + 1)
    return rounded(next((scale for scale in scales if error(scale) <= CLOSE_ENOUGH), min(scales, key=error)))


def _are_weights(value: object) -> bool:
    if not isinstance(value, Mapping) or set(value) - set(LEGS) or not any(value.values()):
        return False
    numbers = [weight for weight in value.values() if isinstance(weight, int | float)]
    return len(numbers) == len(value) and all(0 <= weight <= sys.float_info.max for weight in numbers)
