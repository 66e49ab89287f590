"""Contributions add up to the score that Qdrant gave, in lists of every kind over random spaces, on both engines."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from llmrec_qdrant import Event, Item, Recommendation, Recommender, SpaceConfig
from tests.spaces import EITHER, space_on

WORDS = [
    "space", "ship", "cook", "rice", "war", "love", "song", "rain", "snow", "电影", "科幻", "car", "race", "ghost", "king", "river",
]  # fmt: skip
KINDS = ["view", "like", "purchase", "dislike", "rating"]
START = 1_700_000_000


@dataclass(frozen=True)
class World:
    """A random space: settings that decide its shape, and the seed of everything in it."""

    seed: int
    items: int
    users: int
    events: int
    words: int
    """Words per text; few words give many items of equal scores."""
    prefetch: int
    weights: dict[str, float]
    decay: float
    topics: int
    similarity: str

    def config(self) -> SpaceConfig:
        return SpaceConfig(
            model="hash", size=16, position_decay=self.decay, prefetch=self.prefetch, weights=self.weights,
            fields={"year": "integer"}, rating_scale=(1, 5), similarity=self.similarity,
        )  # fmt: skip

    def fill(self, rec: Recommender) -> None:
        chance = random.Random(self.seed)
        rec.upsert_items(
            [
                Item(
                    id=f"i{n}",
                    title=f"Title {n}" if chance.random() < 0.9 else "",
                    text=" ".join(chance.choices(WORDS, k=self.words)) if chance.random() < 0.9 else "",
                    payload={"year": 2000 + n % 3},
                )
                for n in range(self.items)
            ]
        )
        rec.track([event for n in range(self.events) for event in self._events(n, chance)])
        rec.reconcile()
        if self.topics:
            rec.fit_topics(topics=self.topics).wait()
            for user in range(self.users):
                for topic in rec.topics():
                    if chance.random() < 0.4:
                        rec.steer(f"u{user}", topic.id, chance.choice([0.0, 0.3, 0.7, 2.0, 4.0]))

    def _events(self, n: int, chance: random.Random) -> list[Event]:
        user, when, kind = f"u{chance.randrange(self.users)}", START + 3_600 * n, chance.choice(KINDS)
        value = chance.choice([1, 3, 5]) if kind == "rating" else None
        taken = Event(user=user, item=f"i{chance.randrange(self.items)}", type=kind, value=value, ts=when)
        if chance.random() < 0.2:
            return [taken, Event(user=user, type="search", text=" ".join(chance.choices(WORDS, k=2)), ts=when + 60)]
        if chance.random() < 0.1:
            return [taken, review_of(taken, chance)]
        return [taken]


def review_of(event: Event, chance: random.Random) -> Event:
    """A review: an event with an item and a text."""
    return Event(user=event.user, item=event.item, type="review", text=chance.choice(WORDS), ts=event.ts)


worlds = st.builds(
    World,
    seed=st.integers(0, 10_000),
    items=st.sampled_from([3, 25, 60]),
    users=st.sampled_from([1, 6]),
    events=st.sampled_from([4, 60]),
    words=st.sampled_from([1, 4, 9]),
    prefetch=st.sampled_from([5, 20, 200]),
    weights=st.sampled_from(
        [
            {"dense": 1, "tfidf": 1, "collab": 1},
            {"dense": 1, "tfidf": 0.5, "collab": 2},
            {"dense": 1},
            {"tfidf": 1, "collab": 3},
        ]
    ),
    decay=st.sampled_from([0.5, 0.9, 1.0]),
    topics=st.sampled_from([0, 3]),
    similarity=st.sampled_from(["cosine", "pearson"]),
)
options = st.fixed_dictionaries(
    {"limit": st.sampled_from([1, 10, 40])},
    optional={
        "offset": st.sampled_from([3, 12]),
        "filter": st.just({"year": {"gte": 2001}}),
        "exclude": st.just([f"i{number}" for number in range(0, 20, 2)]),
        "diversity": st.sampled_from([0.3, 0.9]),
        "weights": st.sampled_from([{"dense": 1.0}, {"tfidf": 1.0}, {"dense": 1.0, "tfidf": 2.0, "collab": 5.0}]),
    },
)
for_users = st.fixed_dictionaries({}, optional={"interests": st.just("auto"), "exclude_seen": st.sampled_from([False, "but_last"])})  # fmt: skip


def lists(rec: Recommender, chosen: dict[str, Any], personal: dict[str, Any]) -> list[list[Recommendation]]:
    anyone: dict[str, Any] = {**chosen, "explain": True}
    by_text = {**anyone, "weights": anyone.get("weights") if "dense" in anyone.get("weights", {}) else None}
    found = [rec.recommend(f"u{n}", **anyone, **personal) for n in range(3)]
    found += [rec.similar_items("i1", **anyone), rec.recommend_from(["i0", "i2"], ["i1"], **anyone)]
    if "collab" not in rec.config.weights or "dense" in rec.config.weights:
        found += [rec.search("space 电影", **by_text), rec.search("war", "u0", **by_text)]
    return found


def check(item: Recommendation) -> None:
    told = item.evidence
    assert told is not None
    whole = sum(leg.contribution for leg in told.legs) + sum(part.contribution for part in told.adjustments)
    assert whole == pytest.approx(item.score, abs=1e-4), (item.id, told)
    assert told.score == pytest.approx(item.score, abs=1e-4)
    assert len({leg.leg for leg in told.legs}) == len(told.legs)
    positive = sum(max(part.contribution, 0.0) for part in (*told.legs, *told.adjustments))
    for leg in told.legs:
        assert sum(event.contribution for event in leg.events) + leg.rest == pytest.approx(leg.contribution, abs=1e-6)
        assert leg.share == pytest.approx(max(leg.contribution, 0.0) / positive if positive else 0.0)
        assert 1 <= leg.rank <= leg.candidates
    for reason in told.because:
        assert reason.share >= 0.2 - 1e-9


@pytest.mark.slow
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(world=worlds, chosen=st.lists(options, min_size=2, max_size=2), personal=for_users)
@pytest.mark.parametrize("engine", EITHER)
def test_contributions_add_up(
    request: pytest.FixtureRequest, engine: str, world: World, chosen: list[dict[str, Any]], personal: dict[str, Any]
) -> None:
    request.param = engine
    with space_on(request, world.config()) as rec:
        world.fill(rec)
        note(f"{world} {chosen} {personal}")
        for some in chosen:
            for listed in lists(rec, some, personal):
                for item in listed:
                    check(item)
