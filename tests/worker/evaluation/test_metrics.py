"""Measures of lists against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workers.evaluation.metrics import interval, measures, p_value


def test_measures_match_values_worked_out_by_hand() -> None:
    """Targets at ranks 1 and 3 of 4; at rank 2; absent; an empty list."""
    found = measures([["a", "x", "b", "y"], ["x", "c"], ["x"], []], [["a", "b"], ["c"], ["d"], ["e"]], 4)
    ideal = 1 + 1 / math.log2(3)
    assert found["ndcg"] == pytest.approx([(1 + 1 / math.log2(4)) / ideal, 1 / math.log2(3), 0, 0])
    assert found["hr"].tolist() == [1, 1, 0, 0]
    assert found["recall"].tolist() == [1, 1, 0, 0]
    assert found["mrr"].tolist() == [1, 0.5, 0, 0]
    assert found["map"] == pytest.approx([(1 + 2 / 3) / 2, 0.5, 0, 0])
    cut = measures([["x", "x2", "b"]], [["b", "c"]], 2)
    assert {name: values.tolist() for name, values in cut.items()} == {key: [0.0] for key in found}


def test_intervals_contain_the_mean_and_tests_detect_differences() -> None:
    chance = np.random.default_rng(1)
    values = chance.random(200)
    low, high = interval(values)
    assert low < values.mean() < high and high - low == pytest.approx(2 * 1.96 * values.std() / 200**0.5, rel=0.15)
    assert p_value(values, values) == 1.0
    assert p_value(values, values + chance.normal(0, 0.1, 200)) > 0.05
    assert p_value(values, values + chance.normal(0.05, 0.1, 200)) < 0.01
