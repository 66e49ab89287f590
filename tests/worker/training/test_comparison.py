"""When a trained model is better."""

from __future__ import annotations

import numpy as np

from workers.training.comparison import Outcome, compare


def test_better_is_a_one_sided_test() -> None:
    """Gains of a mean of 1.8 standard errors: more than 1.64, less than 1.96."""
    gains = np.tile([1.0, -1.0], 200) + 1.8 / 20
    still, weights = np.zeros(400), {"dense": 1.0}
    before = Outcome(still, still, weights)  # type: ignore[arg-type]
    for fused, expected in (
        (gains, "better"),
        (gains * 0.8 - 0.015, "cannot tell"),
        (-gains, "worse"),
        (still, "cannot tell"),
    ):
        metrics = compare(before, Outcome(gains, fused, weights), 10)  # type: ignore[arg-type]
        assert metrics["verdict"] == expected
        assert metrics["gain of dense, 95 %"][0] < 0 < metrics["gain of dense, 95 %"][1]


def test_a_gain_of_the_dense_leg_does_not_make_lists_better() -> None:
    rng = np.random.default_rng(0)
    before = Outcome(np.zeros(300), np.full(300, 0.06), {"dense": 1.0})
    after = Outcome(np.full(300, 0.5), before.fused - 0.01 + rng.normal(0, 0.01, 300), {"dense": 4.0})
    assert compare(before, after, 10)["verdict"] == "worse"
