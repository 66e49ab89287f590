"""When a trained model is better."""

from __future__ import annotations

import numpy as np

from workers.training.comparison import Outcome, compare


def test_better_is_a_one_sided_test() -> None:
    """Gains of a mean of 1.8 standard errors: more than 1.64, less than 1.96."""
    gains = np.tile([1.0, -1.0], 200) + 1.8 / 20
    still, weights = np.zeros(400), {"dense": 1.0}
    before = Outcome(still, still, weights)  # type: ignore[arg-type]
    for dense, fused, expected in ((gains, still, True), (gains * 0.8 - 0.015, still, False), (gains, -gains, False)):
        metrics, better = compare(before, Outcome(dense, fused, weights), 10)  # type: ignore[arg-type]
        assert better is expected
        assert metrics["gain of dense, 95 %"][0] < 0 < metrics["gain of dense, 95 %"][1]
