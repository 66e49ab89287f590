"""Interests against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from llmrec_qdrant.contracts.config import SpaceConfig
from workers.items.topic_rule import TopicPoint
from workers.users.interests import Act, interests_of, rows_of, shares

DAY = 86_400.0
CONFIG = SpaceConfig(model="hash", size=2, half_life_days=10)
KNOWN = {"1": TopicPoint("1", "", "soup"), "2": TopicPoint("2", "", "space", dense=np.array([0.0, 1.0]))}


def act(day: float, topic: str | None, weight: float = 1.0, item: str | None = None, **more: object) -> Act:
    return Act(day * DAY, weight, topic, item, **more)  # type: ignore[arg-type]


def test_shares_halve_with_the_half_life() -> None:
    """Old: 0.98 · 0.5 = 0.49. The session is the newest event, of weight 1: it counts 0.6 / 2 = 0.3."""
    found = shares([act(10, "1"), act(0, "2")], CONFIG)
    long = 1 / 1.49
    assert found == pytest.approx({"1": 0.3 + 0.7 * long, "2": 0.7 * (1 - long)})


def test_one_session_is_all_there_is() -> None:
    assert shares([act(0, "1"), act(0, "2")], CONFIG) == pytest.approx({"1": 1 / 1.98, "2": 0.98 / 1.98})
    assert shares([], CONFIG) == {}


def test_a_new_topic_leads_after_three_events_and_not_after_one() -> None:
    past = [act(day, "1") for day in range(40, 0, -1)]
    leads = [
        max(found, key=found.__getitem__) for n in range(1, 6) if (found := shares([act(41, "2")] * n + past, CONFIG))
    ]
    assert leads == ["1", "1", "2", "2", "2"]


def test_a_session_is_named_or_ends_with_half_an_hour_of_silence() -> None:
    named_one = [act(1, "1", session="b"), act(1, "2", session="a")]
    near = [act(1, "1"), act(1 - 1_700 / DAY, "1"), act(0, "2")]
    assert shares(named_one, CONFIG)["1"] == pytest.approx(0.3 + 0.7 / 1.98)
    assert shares(near, CONFIG)["1"] > 0.4 + 0.6 * 0.6


def test_dislikes_take_away() -> None:
    assert shares([act(0, "1"), act(0, "2", -1.0)], CONFIG) == {"1": 1.0}


def test_interests_tell_their_evidence_trend_and_last_event() -> None:
    acts = [act(30, "2", 1, "b"), act(29, "2", 3, "c"), act(0, "1", 3, "a"), act(0, None, 1, "x"), act(0, "7", 1, "y")]
    first, second = interests_of(acts, CONFIG, KNOWN)
    assert (first.label, first.trend, first.items, first.last_at.timestamp()) == (
        "space",
        "steady",
        ["c", "b"],
        30 * DAY,
    )
    assert (second.label, second.trend, second.items) == ("soup", "fading", ["a"])
    assert first.weight + second.weight == pytest.approx(1, abs=1e-3)


def test_a_vector_per_interest_or_none() -> None:
    east = (np.array([1.0, 0.0]),)
    acts = [act(0, "1", dense=east), act(0, "2")]
    found = interests_of(acts, CONFIG, KNOWN)
    assert rows_of(found, acts, CONFIG, KNOWN) == [[1.0, 0.0], [0.0, 1.0]]  # the second from the middle of its topic
    blind = [act(0, "1")]
    assert rows_of(interests_of(blind, CONFIG, KNOWN), blind, CONFIG, KNOWN) is None
