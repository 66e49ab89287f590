"""Leg weights → how often a request asks each leg."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from llmrec_qdrant.contracts.config import LEGS, Leg
from llmrec_qdrant.errors import InvalidInput, show

__all__ = ["MAX_REPEATS", "multiplicities"]

MAX_REPEATS = 6
"""Times that one request asks a leg."""

CLOSE_ENOUGH = 0.05
"""Relative error of a leg's share below which the smallest numbers are taken."""


def multiplicities(weights: Mapping[Leg, float], largest: int = MAX_REPEATS) -> dict[Leg, int]:
    """The smallest whole numbers, at most ``largest`` each, in the ratio of ``weights`` (within 5 % if possible).

    Raises :class:`InvalidInput`.

    >>> multiplicities({"dense": 0.5, "tfidf": 0.5, "collab": 1.0})
    {'dense': 1, 'tfidf': 1, 'collab': 2}
    >>> multiplicities({"dense": 1.0, "tfidf": 0.0, "collab": 0.0})
    {'dense': 1}
    """
    if not _are_weights(weights):
        raise InvalidInput(
            f"weights must give a number of zero or more per leg ({', '.join(LEGS)}), one of them above zero, "
            f"not {show(weights)}"
        )
    shares = {leg: weights[leg] / max(weights.values()) for leg in LEGS if weights.get(leg, 0) > 0}
    return _smallest(shares, largest)


def _smallest(shares: Mapping[Leg, float], largest: int) -> dict[Leg, int]:
    """Whole numbers for shares of the greatest weight."""

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
