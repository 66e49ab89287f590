"""Leg weights of trained models."""

from __future__ import annotations

import pytest

from llmrec_qdrant.contracts.config import Leg
from workers.training.evaluator import boosted


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"dense": 1.0, "tfidf": 1.0, "collab": 2.0}, 4.0),
        ({"dense": 4.0, "tfidf": 1.0, "collab": 2.0}, 6.0),  # no leg can be named more often in a request
        ({"dense": 8.0, "tfidf": 1.0, "collab": 2.0}, 8.0),
        ({"dense": 0.0, "tfidf": 100.0, "collab": 200.0}, 400.0),
        ({"tfidf": 1.0}, 4.0),
        ({"dense": 2.0}, 2.0),
    ],
)
def test_the_weight_of_a_trained_dense_leg_is_boosted_within_bounds(weights: dict[Leg, float], expected: float) -> None:
    assert boosted(weights, 4.0) == {**weights, "dense": expected}
