"""Co-occurrence against values worked out by hand and against an independent count."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from workers.behaviour.cooccurrence import BACKWARD_WEIGHT, WINDOW, Interactions, cooccurrence, strengths


def interactions(*histories: list[int]) -> Interactions:
    """Histories of item numbers, one per user, oldest first."""
    users = [user for user, history in enumerate(histories) for _ in history]
    items = [item for history in histories for item in history]
    size = max(items, default=-1) + 1
    return Interactions(np.array(users, int), np.array(items, int), [("", f"i{n}") for n in range(size)], len(items))


def whole(found: Interactions, pairs: int = 10**9) -> Any:
    return sparse.vstack(list(cooccurrence(found, 1.0, pairs)))


def test_one_user_two_items() -> None:
    matrix = whole(interactions([0, 1])).toarray()
    assert matrix[1, 0] == pytest.approx(1.0)  # after 0 comes 1
    assert matrix[0, 1] == pytest.approx(BACKWARD_WEIGHT)  # and, less surely, the other way round


def test_distance_decays_and_the_popularity_of_the_source_is_divided_out() -> None:
    matrix = whole(interactions([0, 1, 2], [0])).toarray()
    assert matrix[2, 0] == pytest.approx((1 / 2) / math.sqrt(2))
    assert matrix[1, 0] == pytest.approx(1 / math.sqrt(2))
    assert matrix[2, 1] == pytest.approx(1.0)


def test_users_do_not_run_into_each_other() -> None:
    assert whole(interactions([0], [1])).nnz == 0
    assert whole(interactions()).shape == (0, 0)


def test_what_is_taken_again_follows_itself() -> None:
    matrix = whole(interactions([0, 0, 1], [1])).toarray()
    assert matrix[0, 0] == pytest.approx(1.0)
    assert matrix[1, 1] == 0
    assert matrix[1, 0] == pytest.approx(1.0)  # twice before, and the nearer one counts


def test_an_account_that_clicks_two_items_in_turn_is_one_voice() -> None:
    """0 and 1 in turn, 300 times; ten people take 2 after 0."""
    people = [[0, 2]] * 10
    honest, poisoned = whole(interactions([0, 1], *people)), whole(interactions([0, 1] * 300, *people))
    users = math.sqrt(11)
    assert honest.toarray()[1, 0] == pytest.approx(1 / users)
    assert poisoned.toarray()[1, 0] == pytest.approx(1 / users)
    assert poisoned.toarray()[2, 0] == honest.toarray()[2, 0] == pytest.approx(10 / users)


@given(
    st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=10), min_size=1, max_size=6),
    st.lists(st.integers(0, 6), min_size=1, max_size=40),
)
def test_no_account_adds_more_than_one_voice_to_any_pair(others: list[list[int]], bot: list[int]) -> None:
    """Raw sums, before the popularity of the source is divided out; item 6 exists in both."""
    both = [[6], *others]
    without, poisoned = interactions(*both), interactions(*both, bot)
    ones = np.ones(7)
    added = strengths(poisoned, np.arange(7), ones, 0.5) - strengths(without, np.arange(7), ones, 0.5)
    assert added.min() >= -1e-9
    assert added.max() <= 1 + 1e-9


def test_popularity_counts_users_not_events() -> None:
    assert interactions([0, 0, 1], [0]).popularity.tolist() == [2, 1]


@given(st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=14), min_size=1, max_size=6), st.integers(1, 200))
def test_agrees_with_a_plain_count_in_blocks_of_any_size(histories: list[list[int]], pairs: int) -> None:
    found = interactions(*histories)
    size = len(found.names)
    expected = np.zeros((size, size))
    for history in histories:
        voice = np.zeros((size, size))
        for start, first in enumerate(history):
            for step in range(1, WINDOW + 1):
                if start + step < len(history):
                    second = history[start + step]
                    voice[second, first] = max(voice[second, first], 1 / step)
                    voice[first, second] = max(voice[first, second], BACKWARD_WEIGHT / step)
        expected += voice
    users = np.array([sum(i in history for history in histories) for i in range(size)])
    scale = np.sqrt(np.maximum(users, 1))
    assert whole(found, pairs).toarray() == pytest.approx(expected / scale[None, :])
