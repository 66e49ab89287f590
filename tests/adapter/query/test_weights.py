"""Leg weights as whole numbers, against a search over all of them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_qdrant import InvalidInput
from llmrec_qdrant.contracts.config import LEGS, Leg
from llmrec_qdrant.query.weights import multiplicities


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"dense": 1, "tfidf": 1, "collab": 1}, {"dense": 1, "tfidf": 1, "collab": 1}),
        ({"dense": 0.5, "tfidf": 0.5, "collab": 1}, {"dense": 1, "tfidf": 1, "collab": 2}),
        ({"dense": 2, "tfidf": 3}, {"dense": 2, "tfidf": 3}),
        ({"dense": 0.2, "tfidf": 0.4, "collab": 0.6}, {"dense": 1, "tfidf": 2, "collab": 3}),
        ({"dense": 7, "tfidf": 0, "collab": 0}, {"dense": 1}),
        ({"dense": 0, "collab": 0.1}, {"collab": 1}),
        ({"dense": 5, "tfidf": 6}, {"dense": 4, "tfidf": 5}),  # 0.8 is within 5 % of 0.83
        ({"dense": 1, "tfidf": 6}, {"dense": 1, "tfidf": 6}),
        ({"dense": 1, "tfidf": 100}, {"dense": 1, "tfidf": 6}),  # the most that six can do
        ({"dense": 0.98, "tfidf": 1}, {"dense": 1, "tfidf": 1}),  # within 5 %
        ({"dense": 0.7, "tfidf": 1}, {"dense": 2, "tfidf": 3}),  # 0.667 is within 5 % of 0.7
        ({"dense": 1e-300, "tfidf": 2e-300}, {"dense": 1, "tfidf": 2}),
        ({"dense": 1e308, "tfidf": 1e308}, {"dense": 1, "tfidf": 1}),
    ],
    ids=str,
)  # fmt: skip
def test_weights_become_the_smallest_whole_numbers(weights: dict[Leg, float], expected: dict[Leg, int]) -> None:
    assert multiplicities(weights) == expected


def worst(counts: dict[Any, int], weights: dict[Any, float]) -> float:
    """Relative error of the worst leg, measured against the heaviest leg."""
    heaviest = max(weights, key=lambda leg: weights[leg])
    shares = {leg: weights[leg] / weights[heaviest] for leg in weights}
    return max(abs(counts[leg] / counts[heaviest] - shares[leg]) / shares[leg] for leg in weights)


positive = st.floats(0.001, 1_000)


@given(st.dictionaries(st.sampled_from(LEGS), positive | st.just(0.0)).filter(lambda weights: any(weights.values())))
def test_no_other_whole_numbers_up_to_six_are_closer(weights: dict[Leg, float]) -> None:
    """The oracle tries all of them."""
    wanted = {leg: weight for leg, weight in weights.items() if weight > 0}
    counts = multiplicities(weights)
    assert counts.keys() == wanted.keys(), "a zero weight drops its leg, a positive one keeps it"
    assert all(1 <= count <= 6 for count in counts.values())
    every = (dict(zip(wanted, some, strict=True)) for some in itertools.product(range(1, 7), repeat=len(wanted)))
    best = min(worst(some, wanted) for some in every)
    assert worst(counts, wanted) <= max(0.05, best) + 1e-9


@given(st.dictionaries(st.sampled_from(LEGS), st.floats(1, 6), min_size=1))
def test_a_ratio_of_at_most_six_is_met_within_a_third(weights: dict[Leg, float]) -> None:
    assert worst(multiplicities(weights), weights) <= 1 / 3 + 1e-9


@given(st.dictionaries(st.sampled_from(LEGS), positive, min_size=1), st.sampled_from([0.25, 2.0, 1024.0]))
def test_only_the_ratio_of_weights_matters(weights: dict[Leg, float], factor: float) -> None:
    scaled = {leg: weight * factor for leg, weight in weights.items()}
    assert multiplicities(scaled) == multiplicities(weights)


@pytest.mark.parametrize(
    "weights",
    [
        {}, {"dense": 0}, {"dense": -1, "tfidf": 1}, {"dense": math.nan}, {"dense": math.inf}, {"bm25": 1},
        {"dense": "much"}, {"dense": None}, {"dense": [1]}, {"dense": 1j}, {"dense": 10**400}, [1], "dense", 5,
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_weights_that_cannot_be_read_are_refused(weights: Any) -> None:
    with pytest.raises(
        InvalidInput,
        match=r"^weights must be a number of zero or more per leg .dense, tfidf, collab., and at least one above zero, not ",
    ):
        multiplicities(weights)
