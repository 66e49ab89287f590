"""Interests against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from llmrec_qdrant.contracts.config import SpaceConfig
from workers.items.topic_rule import TopicPoint
from workers.users.interests import Act, interests_of, rows_of, shares

DAY = 86_400.0
CONFIG = SpaceConfig(model="hash", size=2, interest_half_life_days=10, session_half_life_hours=6)
KNOWN = {"1": TopicPoint("1", "", "soup"), "2": TopicPoint("2", "", "space", dense=np.array([0.0, 1.0]))}


def act(day: float, topic: str | None, weight: float = 1.0, item: str | None = None, **more: object) -> Act:
    return Act(day * DAY, weight, topic, item, **more)  # type: ignore[arg-type]


def test_shares_halve_with_the_half_life() -> None:
    """Long-term: 1 and 0.5. The visit is the newest event, which counts 0.6 / 3 = 0.2 on its own."""
    day = shares([act(10, "1"), act(0, "2")], CONFIG)
    assert day == pytest.approx({"1": 0.2 + 0.8 / 1.5, "2": 0.8 * 0.5 / 1.5})


def test_what_came_after_an_event_takes_nothing_from_it() -> None:
    """Forty events of one moment, whichever came last: only time counts."""
    assert shares([act(0, "1")] * 30 + [act(0, "2")] * 10, CONFIG) == pytest.approx({"1": 0.75, "2": 0.25})
    assert shares([], CONFIG) == {}


def test_an_absence_counts_as_a_month() -> None:
    """After three years or after thirty days: three half-lives of ten days."""
    years, month = shares([act(1_100, "1"), act(0, "2")], CONFIG), shares([act(30, "1"), act(0, "2")], CONFIG)
    assert years == pytest.approx(month, abs=1e-4)
    assert years["2"] == pytest.approx(0.8 * 0.125 / 1.125, abs=1e-4)


def test_a_new_topic_leads_after_three_events_and_not_after_two() -> None:
    past = [act(day, "1") for day in range(40, 0, -1)]
    defaults = SpaceConfig(model="hash", size=2)
    leads = [max(mix, key=mix.__getitem__) for n in range(1, 6) if (mix := shares([act(41, "2")] * n + past, defaults))]
    assert leads == ["1", "1", "2", "2", "2"]


@pytest.mark.parametrize("pause", [0.1, 0.5, 1, 30, 3_000])
@pytest.mark.parametrize("topics", [1, 5, 12, 40])
@pytest.mark.parametrize(("clicks", "weight", "promised"), [(1, 3.0, 0.65), (3, 1.0, 0.45), (50, 1.0, 0.2)])
def test_old_interests_keep_what_the_docs_promise(
    clicks: int, weight: float, promised: float, topics: int, pause: float
) -> None:
    """310 ratings about some topics, then clicks on another one today; whatever the pause between."""
    past = [act(day / 10, str(day % topics), 1.5, f"i{day}") for day in range(310, 0, -1)]
    today = [act(31 + pause, "new", weight, f"n{click}") for click in range(clicks)]
    known = {topic: TopicPoint(topic, "", topic) for topic in (*map(str, range(topics)), "new")}
    interests = interests_of([*today, *past], SpaceConfig(model="hash", size=2), known)
    assert sum(interest.weight for interest in interests if interest.topic != "new") >= promised
    assert len(interests) == min(topics + 1, 8)
    assert sum(interest.weight for interest in interests) == pytest.approx(1, abs=1e-3)


def test_one_item_again_and_again_is_one_event() -> None:
    past = [act(day, "1", item=f"i{day}") for day in range(40, 0, -1)]
    again = shares([act(41, "2", item="x")] * 20 + past, CONFIG)["2"]
    many = shares([act(41, "2", item=f"x{n}") for n in range(20)] + past, CONFIG)["2"]
    assert again < many - 0.15


def test_a_named_visit_counts_in_full() -> None:
    """Six hours ago in the same visit: as the newest. In another one: half."""
    same = shares([act(0.25, "1", session="a"), act(0, "2", session="a")], CONFIG)
    other = shares([act(0.25, "1", session="b"), act(0, "2", session="a")], CONFIG)
    long = 0.5 ** (0.25 / 10) / (1 + 0.5 ** (0.25 / 10))
    assert same["2"] == pytest.approx(0.4 * 0.5 + 0.6 * long)
    square = (1.5**2 / 1.25) ** 2
    part = 0.6 * square / (square + 2)
    assert other["2"] == pytest.approx(part / 3 + (1 - part) * long)


def test_more_than_one_event_of_little_weight_counts_as_one() -> None:
    """The effective number of items: 1 and 0.001 are hardly more than 1."""
    assert shares([act(1, "2", 1.0), act(1, "2", 0.001), act(0, "1")], CONFIG)["2"] == pytest.approx(
        shares([act(1, "2", 1.001), act(0, "1")], CONFIG)["2"], abs=0.01
    )


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
