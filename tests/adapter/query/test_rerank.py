"""Diversity and calibration, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_qdrant.query.rerank import calibrate, calibrated, candidates, divergence, diversify, reranked
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point

# --- diversity -----------------------------------------------------------------------------------


def at(number: int, score: float, *vector: float) -> Point:
    return Point(str(number), vectors={"dense": list(vector)} if vector else {}, score=score)


def picked(points: list[Point], diversity: float, limit: int = 10) -> list[str]:
    return [point.id for point in diversify(points, diversity, limit)]


# Relevance 1, 0.8, 0.5, 0; directions 0°, 0°, 90°, 45°.
FOUR = [at(1, 10, 1, 0), at(2, 8, 2, 0), at(3, 5, 0, 1), at(4, 0, 3, 3)]


def test_no_diversity_keeps_the_order() -> None:
    assert picked(FOUR, 0.0) == ["1", "2", "3", "4"]


def test_full_diversity_takes_the_farthest() -> None:
    """First 1 (all gains are 0); then 3 (cosine 0 to 1); then 4 (0.71 to both) before 2 (1 to 1)."""
    assert picked(FOUR, 1.0) == ["1", "3", "4", "2"]


def test_half_diversity_by_hand() -> None:
    """Gains: 1 first (0.5). Then 2: .4-.5=-.1, 3: .25-0=.25, 4: 0-.35=-.35, so 3. Then 2 (-.1), 4 (-.35)."""
    assert picked(FOUR, 0.5) == ["1", "3", "2", "4"]


def test_little_diversity_by_hand() -> None:
    """Gains at 0.2 after 1 — 2: .64-.2=.44, 3: .4-0=.4 — so the order stays; at 0.3 — .56-.3=.26, .35 — it turns."""
    assert picked(FOUR, 0.2)[:3] == ["1", "2", "3"]
    assert picked(FOUR, 0.3)[:3] == ["1", "3", "2"]


def test_a_limit_cuts_the_picks() -> None:
    assert picked(FOUR, 1.0, limit=2) == ["1", "3"]
    assert picked(FOUR, 0.0, limit=1) == ["1"]


def test_points_without_a_vector_resemble_nothing() -> None:
    """2 has no dense vector, 3 a zero one: both have similarity 0, 4 has 1."""
    points = [at(1, 3, 1, 0), at(2, 2), at(3, 1, 0, 0), at(4, 2.5, 1, 0)]
    assert picked(points, 1.0) == ["1", "2", "3", "4"]
    assert picked([at(1, 2), at(2, 1)], 0.7) == ["1", "2"]


def test_equal_scores_are_equally_relevant() -> None:
    assert picked([at(1, 5, 1, 0), at(2, 5, 1, 0), at(3, 5, 0, 1)], 0.5) == ["1", "3", "2"]


def test_nothing_to_diversify() -> None:
    assert diversify([], 0.5, 10) == []


def test_points_come_back_as_they_were() -> None:
    assert all(point is FOUR[int(point.id) - 1] for point in diversify(FOUR, 0.5, 10))


vectors = st.lists(st.floats(-1, 1), min_size=2, max_size=2)


@given(st.lists(st.tuples(st.floats(-10, 10), vectors), max_size=8), st.floats(0, 1), st.integers(1, 10))
def test_diversify_picks_each_point_once_up_to_the_limit(
    given: list[tuple[float, list[float]]], diversity: float, limit: int
) -> None:
    ranked = sorted(given, key=lambda one: -one[0])
    points = [at(number, score, *vector) for number, (score, vector) in enumerate(ranked)]
    chosen = picked(points, diversity, limit)
    assert len(chosen) == len(set(chosen)) == min(limit, len(points))
    assert not chosen or ranked[int(chosen[0])][0] == ranked[0][0] or diversity == 1.0
    if diversity == 0.0:
        assert [ranked[int(one)][0] for one in chosen] == [score for score, _ in ranked[:limit]]


def test_what_was_chosen_before_counts_as_picked() -> None:
    """At 1, all that counts is the cosine to the chosen one: 3 (0), 4 (0.71), 1 and 2 (1)."""
    ids = [point.id for point in diversify(FOUR, 1.0, 4, [at(9, 0, 5, 0)])]
    assert ids[:2] == ["3", "4"] and diversify(FOUR, 1.0, 0, FOUR) == []


# --- calibration ---------------------------------------------------------------------------------


def test_divergence_by_hand() -> None:
    """p = (½, ½), q = (1, 0): q̃ = .99·q + .01·p = (.995, .005)."""
    expected = 0.5 * math.log(0.5 / 0.995) + 0.5 * math.log(0.5 / 0.005)
    assert divergence({"a": 2, "b": 2}, ["a", "a", "a"]) == pytest.approx(expected)
    assert divergence({"a": 1.0}, [None]) == pytest.approx(math.log(100))
    assert divergence({}, ["a"]) == 0
    assert divergence({"a": 0.0}, ["a"]) == 0


def test_a_list_takes_the_shares_of_the_interests() -> None:
    scores = [1 - k / 20 for k in range(20)]
    topics = ["a"] * 12 + ["b"] * 8
    picked = calibrated(scores, topics, {"a": 0.7, "b": 0.3}, 10, trade_off=0.9)
    assert sum(topics[place] == "b" for place in picked) in {2, 3}
    assert [place for place in picked if topics[place] == "a"] == list(range(10))[
        : sum(topics[place] == "a" for place in picked)
    ]  # the best within each topic


def test_picks_by_hand() -> None:
    """Relevance 1, .8, .6, 0; p = (½, ½). After the first a, another costs λ·1.9585 and a b nothing: .6·.8 < .4·1.9585."""
    scores, topics, halves = [5, 4, 3, 0], ["a", "a", "a", "b"], {"a": 1.0, "b": 1.0}
    assert 0.5 * math.log(0.5 / 0.995) + 0.5 * math.log(0.5 / 0.005) == pytest.approx(1.9585, abs=1e-4)
    assert calibrated(scores, topics, halves, 2, trade_off=0.4) == [0, 3]
    assert calibrated(scores, topics, halves, 2, trade_off=0.28) == [0, 1]  # .72·.8 = .576 > .28·1.9585 = .548
    assert calibrated(scores, topics, halves, 2, trade_off=0.3) == [0, 3]  # .7·.8 = .56 < .3·1.9585 = .588


def test_what_is_picked_first_is_not_shown_first() -> None:
    """Of b alone the last one is picked at once, as KL falls from ln 100 to 0; it stays behind what scores higher."""
    assert calibrated([5, 4, 3, 0], ["a", "a", "a", "b"], {"b": 1.0}, 1, trade_off=0.9) == [3]
    assert calibrated([5, 4, 3, 0], ["a", "a", "a", "b"], {"b": 1.0}, 2, trade_off=0.9) == [0, 3]


def test_a_diversified_list_keeps_its_order() -> None:
    """Its scores do not fall; what counts is the place."""
    points = [Point(str(place), {Key.TOPIC_IDS: ["7"]}, score=score) for place, score in enumerate([3, 1, 2])]
    assert [point.id for point in calibrate(points, {"7": 1.0}, 2)] == ["0", "1"]
    assert [point.id for point in calibrate(points, {}, 2)] == ["0", "1"]


def test_without_interests_or_trade_off_the_order_stays() -> None:
    assert calibrated([3, 2, 1], ["a", "b", "a"], {}, 2) == [0, 1]
    assert calibrated([3, 2, 1], ["a", "b", "a"], {"a": 1.0}, 2, trade_off=0.0) == [0, 1]
    assert calibrated([1, 1, 1], ["a", "a", "a"], {"a": 1.0}, 5) == [0, 1, 2]
    assert calibrated([], [], {"a": 1.0}, 3) == []


@given(
    st.lists(st.tuples(st.floats(0, 9), st.sampled_from(["a", "b", None])), max_size=30),
    st.integers(1, 12),
    st.floats(0, 1),
)
def test_picks_are_distinct_and_as_many_as_there_are(
    candidates: list[tuple[float, str | None]], limit: int, trade_off: float
) -> None:
    scores, topics = [one for one, _ in candidates], [one for _, one in candidates]
    picked = calibrated(scores, topics, {"a": 0.6, "b": 0.4}, limit, trade_off)
    assert picked == sorted(set(picked))
    assert len(picked) == min(limit, len(candidates))


def test_topics_listed_before_count() -> None:
    """Two of a are listed, the interests are halves: b comes next, although a scores higher."""
    halves = {"a": 1.0, "b": 1.0}
    assert calibrated([5, 4, 0], ["a", "a", "b"], halves, 1, trade_off=0.4) == [0]
    assert calibrated([5, 4, 0], ["a", "a", "b"], halves, 1, trade_off=0.4, before=["a", "a"]) == [2]


# --- in blocks -----------------------------------------------------------------------------------


def many(number: int, seed: int) -> list[Point]:
    rng = np.random.default_rng(seed)
    scores = np.sort(rng.normal(size=number))[::-1]
    return [
        Point(str(n), {Key.TOPIC_IDS: [str(rng.integers(3))]}, {"dense": rng.normal(size=4).tolist()}, float(score))
        for n, score in enumerate(scores)
    ]


@pytest.mark.parametrize(
    ("diversity", "shares"), [(0.4, None), (0.0, {"0": 0.7, "1": 0.3}), (0.4, {"0": 0.7, "1": 0.3})]
)
@pytest.mark.parametrize("size", [1, 10, 11, 25, 60])
def test_a_longer_list_begins_like_a_shorter_one(diversity: float, shares: dict[str, float] | None, size: int) -> None:
    points = many(200, size)
    whole = reranked(points, 70, 5, diversity, shares)
    short = reranked(points[: candidates(size, 5)], size, 5, diversity, shares)
    assert short == whole[:size] and len({point.id for point in whole}) == 70


def test_ten_items_are_picked_from_the_pool() -> None:
    points = many(80, 3)
    shares = {"0": 0.5, "2": 0.5}
    assert reranked(points, 10, 5, 0.3, None) == diversify(points[:50], 0.3, 10)
    assert reranked(points, 10, 5, 0.0, shares) == calibrate(points[:50], shares, 10)
    assert reranked(points, 10, 5, 0.3, shares) == calibrate(diversify(points[:50], 0.3, 50), shares, 10)
    assert reranked(points[:7], 10, 5, 0.3, None) == diversify(points[:7], 0.3, 10)
    assert reranked([], 10, 5, 0.3, shares) == []
