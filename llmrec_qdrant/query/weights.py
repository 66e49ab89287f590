"""TODO: llmrec_qdrant.query.weights."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from llmrec_qdrant.contracts.config import LEGS, Leg
from llmrec_qdrant.errors import InvalidInput, show

__all__ = ["multiplicities"]


MOST = 6
"""Times that one request names a leg."""


def _are_weights(given: object) -> bool:
    if not isinstance(given, Mapping) or set(given) - set(LEGS) or not any(given.values()):
        return False
    numbers = [value for value in given.values() if isinstance(value, int | float)]
    return len(numbers) == len(given) and all(0 <= value <= sys.float_info.max for value in numbers)


def multiplicities(weights: Mapping[Leg, float], most: int = MOST) -> dict[Leg, int]:
    """The smallest whole numbers, at most ``most`` each, in the ratio of ``weights`` (within 5 % if possible).

    >>> multiplicities({"dense": 0.5, "tfidf": 0.5, "collab": 1.0})
    {'dense': 1, 'tfidf': 1, 'collab': 2}
    >>> multiplicities({"dense": 1.0, "tfidf": 0.0, "collab": 0.0})
    {'dense': 1}
    """
    if not _are_weights(weights):
        raise InvalidInput(f"weights are numbers of zero or more for {', '.join(LEGS)}, not {show(weights)}")
    wanted = {leg: weights[leg] / max(weights.values()) for leg in LEGS if weights.get(leg, 0) > 0}

    def rounded(scale: int) -> dict[Leg, int]:
        return {leg: max(1, round(share * scale)) for leg, share in wanted.items()}

    def error(scale: int) -> float:
        counts = rounded(scale)
        return max(abs(counts[leg] / max(counts.values()) - share) / share for leg, share in wanted.items())

    scales = range(1, most + 1)
    return rounded(next((s for s in scales if error(s) <= 0.05), min(scales, key=error)))
