"""Calibration and steered requests: pure, by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qdrant_client import models

from llmrec_qdrant.operations import lists
from llmrec_qdrant.query import requests
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.query.rerank import calibrated, divergence


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
    points = [
        models.ScoredPoint(id=k, version=0, score=s, payload={"topic_ids": ["7"]}) for k, s in enumerate([3, 1, 2])
    ]
    assert [one.id for one in lists._calibrated(points, {"7": 1.0}, 2)] == [0, 1]
    assert [one.id for one in lists._calibrated(points, {}, 2)] == [0, 1]


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


LEGS = [LegQuery("dense", "p", "users"), LegQuery("tfidf", "p", "users")]


def fused() -> models.QueryRequest:
    return requests.fused(LEGS, weights={"dense": 1, "tfidf": 1}, filter=None, limit=10, depth=50)


@pytest.mark.parametrize(("weight", "times"), [(1.4, 1), (2.0, 1), (3.0, 2), (4.0, 3)])
def test_a_boosted_topic_is_asked_for_again(weight: float, times: int) -> None:
    made = requests.steered(fused(), LEGS, {"7": weight}, None, 50)
    assert isinstance(made.prefetch, list)
    extra = made.prefetch[2:]
    assert len(extra) == 2 * times
    assert {one.filter.must[0].match.any[0] for one in extra} == {"7"}  # type: ignore[index,union-attr]
    assert made.query == fused().query


def test_a_lowered_topic_multiplies_the_fused_score() -> None:
    body = requests.as_json(requests.steered(fused(), LEGS, {"7": 0.25, "8": 0.0}, None, 50))
    condition = {"key": "topic_ids", "match": {"value": "7"}}
    assert body["query"]["formula"] == {"mult": ["$score", {"sum": [1.0, {"mult": [-0.75, condition]}]}]}
    assert [one["query"] for one in body["prefetch"]] == [{"fusion": "dbsf"}]
    assert len(body["prefetch"][0]["prefetch"]) == 2


def test_muted_topics_are_filtered() -> None:
    assert requests.unmuted({"7": 1.0, "8": 2.0}) is None
    assert requests.as_json(requests.unmuted({"7": 0.0, "8": 2.0})) == {
        "must_not": [{"key": "topic_ids", "match": {"any": ["7"]}}]
    }
