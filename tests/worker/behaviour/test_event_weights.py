"""What an event weighs, worked out by hand."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from llmrec_qdrant.contracts.config import SpaceConfig
from workers.behaviour import event_weights
from workers.behaviour.event_weights import decayed, event_weight


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("view", None, 1.0),
        ("like", None, 2.0),
        ("purchase", None, 3.0),
        ("dislike", None, -1.0),
        ("dislike", 5.0, -1.0),
        ("bookmark", None, 1.0),
        ("rating", 5.0, 2.0),
        ("rating", 4.0, 1.5),
        ("rating", 3.0, 1.0),
        ("rating", 2.0, -0.5),
        ("rating", 1.0, -1.0),
        ("rating", 99.0, 2.0),
        ("review", 1.0, -1.0),
        ("review", None, 2.0),
    ],
)
def test_event_weight(kind: str, value: float | None, expected: float) -> None:
    assert event_weight(kind, value, SpaceConfig()) == pytest.approx(expected)


def test_weights_halve_with_the_half_life_and_fall_with_each_step() -> None:
    day = 86_400.0
    assert decayed([30 * day, 20 * day, 0.0], 10, 1.0) == pytest.approx([1, 0.5, 0.125])
    assert decayed([day, day], 10, 0.9) == pytest.approx([1, 0.9])
    assert np.array_equal(decayed([], 10, 0.9), np.zeros(0))


def test_the_examples_in_the_docstrings_hold() -> None:
    ran = doctest.testmod(event_weights)
    assert ran.attempted
    assert not ran.failed
