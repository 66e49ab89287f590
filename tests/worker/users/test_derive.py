"""Interests of whole histories, through a space: what ratings say, and what a visit changes."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from tests.spaces import EITHER, space_on

T0, DAY = 1_500_000_000.0, 86_400.0
WORDS = {
    "bread": "bread oven flour yeast dough crust bake loaf",
    "space": "rocket orbit moon astronaut star planet comet launch",
    "garden": "rose soil seed lawn spade tulip hedge compost",
}


@pytest.fixture(scope="module", params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    """Three vocabularies of a hundred items, each a topic or some."""
    with space_on(request, SpaceConfig(model="hash", size=64)) as rec:
        chance = random.Random(3)
        rec.upsert_items(
            [
                Item(id=f"{name}{number}", title=" ".join(chance.sample(words.split(), 6)))
                for name, words in WORDS.items()
                for number in range(100)
            ]
        )
        rec.fit_topics(3)
        yield rec


def share(rec: Recommender, user: str, name: str) -> float:
    """Weight of the interests whose evidence is about a vocabulary."""
    return sum(interest.weight for interest in rec.interests(user) if interest.items[0].startswith(name))


def rating(user: str, item: str, value: float, at: float) -> Event:
    return Event(user=user, item=item, type="rating", value=value, ts=T0 + at)


def test_three_views_today_leave_a_profile_of_years_what_the_docs_promise(rec: Recommender) -> None:
    past = [rating("ann", f"{('bread', 'space')[n % 2]}{n // 2 % 100}", 5 - n % 3, n * DAY / 4) for n in range(310)]
    rec.track([*past, *(rating("ann", f"garden{n}", 3, n) for n in range(20))])
    assert share(rec, "ann", "garden") == 0
    rec.track([Event(user="ann", item=f"garden{n}", type="view", ts=T0 + 2_000 * DAY + n) for n in range(3)])
    assert share(rec, "ann", "bread") >= 0.2 and share(rec, "ann", "space") >= 0.2
    assert share(rec, "ann", "bread") + share(rec, "ann", "space") >= 0.45
    assert share(rec, "ann", "garden") >= 0.4


def test_a_middling_rating_creates_no_interest_and_a_low_one_neither(rec: Recommender) -> None:
    rec.track([rating("bob", "bread1", 3, 0), rating("bob", "space1", 1, 1)])
    assert rec.interests("bob") == []
    rec.track([rating("bob", "garden1", 5, 2)])
    assert share(rec, "bob", "garden") == 1


def test_who_rates_everything_at_the_top_has_interests(rec: Recommender) -> None:
    rec.track(
        [rating("cy", f"bread{n}", 5, n) for n in range(30)] + [rating("cy", f"space{n}", 4, n) for n in range(30)]
    )
    assert share(rec, "cy", "bread") > 0.6


def test_an_opinion_that_changed_leaves_no_interest(rec: Recommender) -> None:
    rec.track([rating("dan", "bread1", 5, 0), rating("dan", "space1", 5, 1)])
    assert share(rec, "dan", "bread") > 0
    rec.track([rating("dan", "bread1", 1, 3_600)])
    assert share(rec, "dan", "bread") == 0 and share(rec, "dan", "space") == 1


def test_the_order_and_the_parts_in_which_events_arrive_do_not_matter(rec: Recommender) -> None:
    chance = random.Random(5)
    kinds = [
        ("rating", 5.0),
        ("rating", 1.0),
        ("like", None),
        ("dislike", None),
        ("view", None),
        ("purchase", None),
        ("return", None),
    ]
    events = []
    for number in range(60):
        kind, value = chance.choice(kinds)
        item = f"{chance.choice(list(WORDS))}{chance.randrange(4)}"
        events.append(Event(user="whole", item=item, type=kind, value=value, ts=T0 + number))
    rec.track(events)
    mixed = [event.model_copy(update={"user": "parts"}) for event in chance.sample(events, len(events))]
    for start in range(0, len(mixed), 13):
        rec.track(mixed[start : start + 13])
    whole, parts = rec.interests("whole"), rec.interests("parts")
    assert [interest.topic for interest in whole] == [interest.topic for interest in parts]
    assert [interest.weight for interest in whole] == pytest.approx([interest.weight for interest in parts], abs=2e-4)
    listed = [[(one.id, round(one.score, 3)) for one in rec.recommend(user, 8)] for user in ("whole", "parts")]
    assert sorted(listed[0]) == sorted(listed[1])
