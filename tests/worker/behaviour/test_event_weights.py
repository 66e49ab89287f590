"""What an event weighs, worked out by hand."""

from __future__ import annotations

import doctest
from collections.abc import Iterable
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.query.folding import decayed
from workers.behaviour import event_weights
from workers.behaviour.event_weights import event_weight, interest_weight, rating_reference, standing

FIVE = SpaceConfig(rating_scale=(1, 5))


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
        ("return", None, 0.0),
        ("unlike", None, 0.0),
    ],
)
def test_event_weight(kind: str, value: float | None, expected: float) -> None:
    assert event_weight(kind, value, FIVE) == pytest.approx(expected)


def test_a_configuration_of_some_weights_keeps_the_others() -> None:
    """A configuration that knows nothing of dislikes must not turn them into likes."""
    config = SpaceConfig(event_weights={"view": 0.5, "play": 4.0})
    assert [event_weight(kind, None, config) for kind in ("view", "play", "dislike", "refund")] == [0.5, 4.0, -1.0, 0.0]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([("rating", 5), ("rating", 1)], [1]),
        ([("like", None), ("dislike", None)], [1]),
        ([("dislike", None), ("like", None)], [1]),
        ([("rating", 1), ("review", 5)], [1]),
        ([("rating", 1), ("review", None)], [0]),
        ([("view", None), ("view", None), ("purchase", None)], [0, 1, 2]),
        ([("view", None), ("dislike", None), ("view", None)], [1]),
        ([("view", None), ("dislike", None), ("like", None)], [0, 2]),
        ([("purchase", None), ("return", None)], []),
        ([("purchase", None), ("return", None), ("refund", None)], []),
        ([("purchase", None), ("purchase", None), ("return", None), ("refund", None)], [0]),
        ([("purchase", None), ("return", None), ("purchase", None)], [2]),
        ([("return", None), ("purchase", None)], [1]),
        ([("view", None), ("purchase", None), ("refund", None)], [0]),
        ([("like", None), ("like", None), ("unlike", None)], []),
        ([("rating", 4), ("like", None), ("unlike", None)], [0]),
        ([("dislike", None), ("unlike", None)], [0]),
        ([("view", None), ("dislike", None), ("undislike", None)], [0]),
        ([("bookmark", None), ("bookmark", None)], [0, 1]),
    ],
)
def test_the_events_about_one_item_that_stand(events: list[tuple[str, float | None]], expected: list[int]) -> None:
    assert stand(events, range(len(events))) == expected


def stand(events: list[tuple[str, float | None]], moments: Iterable[float]) -> list[int]:
    kinds, values = [kind for kind, _ in events], [value for _, value in events]
    weights = [event_weight(kind, value, FIVE) for kind, value in events]
    return [place for place, stands in enumerate(standing(kinds, values, weights, list(moments))) if stands]


def test_at_the_same_moment_the_less_favourable_opinion_counts() -> None:
    assert stand([("dislike", None), ("like", None)], [0, 0]) == [0]
    assert stand([("rating", 2), ("rating", 4)], [0, 0]) == [0]
    assert stand([("return", None), ("purchase", None)], [0, 0]) == []


KINDS = ["view", "like", "dislike", "unlike", "undislike", "rating", "review", "purchase", "return", "refund"]
ABOUT_ONE_ITEM = st.lists(
    st.tuples(st.sampled_from(KINDS), st.sampled_from([None, 1.0, 2.0, 4.0, 5.0]), st.integers(0, 5)), max_size=9
)


@given(ABOUT_ONE_ITEM, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(events: list[tuple[str, float | None, int]], chance: Random) -> None:
    mixed = chance.sample(events, len(events))

    def standing_of(some: list[tuple[str, float | None, int]]) -> list[tuple[str, float, int]]:
        places = stand([(kind, value) for kind, value, _ in some], [moment for *_, moment in some])
        return sorted((some[k][0], event_weight(some[k][0], some[k][1], FIVE), some[k][2]) for k in places)

    assert standing_of(mixed) == standing_of(events)


@given(ABOUT_ONE_ITEM)
def test_after_a_last_dislike_nothing_speaks_for_an_item(events: list[tuple[str, float | None, int]]) -> None:
    told = [*((kind, value) for kind, value, _ in events), ("dislike", None)]
    moments = [*(moment for *_, moment in events), 9]
    weights = [event_weight(kind, value, FIVE) for kind, value in told]
    assert all(weights[place] <= 0 for place in stand(told, moments))


def test_a_rating_is_judged_against_the_users_own_mean() -> None:
    """By hand: 20 ratings of 4 and 5 prior ones of 3 have the mean 3.8; a quarter of the scale above 3 is the limit."""
    assert rating_reference([4.0] * 20, FIVE) == pytest.approx(3.8)
    assert rating_reference([5.0] * 1_000, FIVE) == 4.0
    assert rating_reference([1.0] * 1_000, FIVE) == 2.0
    assert interest_weight("rating", 4.0, 3.8, FIVE) == 0.0
    assert interest_weight("rating", 5.0, 3.8, FIVE) == pytest.approx(2.0)
    assert interest_weight("rating", 4.0, 2.0, FIVE) == pytest.approx(2 * (0.5 + 0.5 * 0.75 / 1.75))
    assert interest_weight("rating", 1.0, 2.0, FIVE) == pytest.approx(-1.0)
    assert [interest_weight("rating", 3.0, mean, FIVE) for mean in (2.0, 3.0, 4.0)] == [0.0, 0.0, 0.0]
    assert interest_weight("view", None, 3.8, FIVE) == 1.0


@given(st.floats(0.5, 5), st.lists(st.floats(0.5, 5), max_size=30))
def test_ratings_speak_in_order_the_top_for_and_the_bottom_never(value: float, others: list[float]) -> None:
    config = SpaceConfig()
    reference = rating_reference(others, config)
    weights = [interest_weight("rating", rating, reference, config) for rating in sorted([0.5, value, 5.0])]
    assert weights == sorted(weights)
    assert weights[0] < 0 < weights[-1]
    assert interest_weight("rating", 3.0, rating_reference([3.0] * len(others), config), config) == 0.0


def test_weights_halve_with_the_half_life_and_fall_with_each_step() -> None:
    day = 86_400.0
    assert decayed([30 * day, 20 * day, 0.0], 10, 1.0) == pytest.approx([1, 0.5, 0.125])
    assert decayed([day, day], 10, 0.9) == pytest.approx([1, 0.9])
    assert np.array_equal(decayed([], 10, 0.9), np.zeros(0))


def test_the_examples_in_the_docstrings_hold() -> None:
    ran = doctest.testmod(event_weights)
    assert ran.attempted
    assert not ran.failed
