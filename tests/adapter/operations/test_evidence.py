"""Evidence: contributions add up to the score, and to what was computed by hand."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from llmrec_qdrant import Event, Item, NotFound, Recommendation, Recommender, SpaceConfig
from llmrec_qdrant.space.ids import point_id
from tests.films import CONFIG, items, watched
from tests.spaces import EITHER, space_on

WORDS = [
    "space",
    "ship",
    "cook",
    "rice",
    "war",
    "love",
    "song",
    "rain",
    "snow",
    "电影",
    "科幻",
    "car",
    "race",
    "ghost",
    "king",
    "queen",
    "river",
    "gold",
]


def adds_up(listed: list[Recommendation]) -> None:
    """Contributions are computed from candidates' lists, the score by Qdrant."""
    assert listed
    for item in listed:
        told = item.evidence
        assert told is not None
        whole = sum(leg.contribution for leg in told.legs) + sum(part.contribution for part in told.adjustments)
        assert whole == pytest.approx(item.score, abs=1e-4)
        for leg in told.legs:
            assert sum(event.contribution for event in leg.events) + leg.rest == pytest.approx(
                leg.contribution, abs=1e-6
            )
            if (
                leg.leg != "tfidf" and leg.method == "linear" and leg.events
            ):  # words that dislikes cancel belong to the rest
                assert abs(leg.rest) <= (0.02 if leg.leg == "dense" else 0.005) * abs(leg.contribution) + 1e-4


@pytest.fixture(params=EITHER)
def films(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, CONFIG) as rec:
        rec.upsert_items(items())
        watched(rec)
        yield rec


@pytest.fixture(params=EITHER)
def any_space(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    """A random space: events of every kind, with and without texts, and settings that differ."""
    seed = 3
    chance = random.Random(seed)
    config = SpaceConfig(model="hash", size=32, position_decay=0.8, prefetch=30, fields={"kind": "keyword"})
    with space_on(request, config) as rec:
        rec.upsert_items(
            [
                Item(
                    id=f"i{n}",
                    title=f"Title {n}",
                    text=" ".join(chance.choices(WORDS, k=8)),
                    payload={"kind": str(n % 3)},
                )
                for n in range(80)
            ]
        )
        rec.track(
            [
                Event(
                    user=f"u{chance.randrange(12)}", item=f"i{chance.randrange(80)}", ts=1_700_000_000 + 3_600 * n,
                    type=chance.choice(["view", "like", "purchase", "dislike"]),
                )
                for n in range(160)
            ]
        )  # fmt: skip
        rec.track(
            [Event(user=f"u{n}", type="search", text="space war", ts=1_700_000_000 + 3_600 * 90) for n in range(3)]
        )
        rec.reconcile()
        yield rec


def test_contributions_add_up_to_the_score_in_every_list(any_space: Recommender) -> None:
    rec = any_space
    for n in range(12):
        adds_up(rec.recommend(f"u{n}", explain="evidence"))
    adds_up(rec.recommend("u1", 40, explain="evidence"))  # beyond the first candidates
    adds_up(rec.recommend("u2", explain="evidence", diversity=0.4))
    adds_up(rec.recommend("u3", explain="evidence", weights={"dense": 3, "tfidf": 1, "collab": 0.5}))
    adds_up(rec.recommend("u4", explain="evidence", filter={"kind": "1"}))
    adds_up(rec.recommend("u4", explain="evidence", exclude_seen=False))
    adds_up(rec.similar_items("i5", explain="evidence"))
    adds_up(rec.recommend_from(["i1", "i2"], explain="evidence"))
    adds_up(rec.search("space war", explain="evidence"))
    adds_up(rec.search("space war", user="u1", explain="evidence"))


def test_steering_is_a_part_of_the_sum(any_space: Recommender) -> None:
    rec = any_space
    rec.fit_topics(topics=4).wait()
    topics = rec.topics()
    rec.steer("u1", topics[0].id, 3.0)
    for topic in topics[1:]:
        rec.steer("u1", topic.id, 0.9)
    listed = rec.recommend("u1", 20, explain="evidence")
    adds_up(listed)
    kinds = {part.kind for item in listed for part in item.evidence.adjustments}
    assert kinds >= {"boost", "lowered"}


def test_a_popular_list_says_so(films: Recommender) -> None:
    listed = films.recommend("nobody", explain="evidence")
    adds_up(listed)
    assert [part.kind for part in listed[0].evidence.adjustments] == ["popular"]


def test_dense_evidence_is_the_weighted_mean(films: Recommender) -> None:
    """By hand: ann saw m1 and, a day later, m2; the cosine is the weighted sum over both, divided by its length."""
    listed = films.recommend("ann", explain="evidence")
    vectors = {
        record.id: np.array(record.vector["dense"])
        for record in films.client.retrieve(
            films._space.items, [point_id("item", f"m{n}") for n in range(1, 9)], with_vectors=True
        )
    }
    older = 0.6 * 0.5 ** (1 / 30)
    first, second = vectors[point_id("item", "m1")], vectors[point_id("item", "m2")]
    norm = np.linalg.norm(older * first + second)
    for item in listed:
        for leg in item.evidence.legs:
            if leg.leg == "dense":
                vector = vectors[point_id("item", item.id)]
                by_item = {event.item: event.contribution for event in leg.events}
                assert by_item.get("m1", 0) == pytest.approx(
                    older * first @ vector / norm / leg.score * leg.contribution, abs=2e-3
                )
                assert by_item.get("m2", 0) == pytest.approx(
                    second @ vector / norm / leg.score * leg.contribution, abs=2e-3
                )


def test_reasons_name_the_items_behind_them(films: Recommender) -> None:
    best = films.recommend("ann", explain="evidence")[0]
    assert best.id == "m3"
    assert "The Martian" in best.reason
    assert "The Martian" in best.evidence.reasons["zh"]


def test_explain_takes_a_listed_item_apart(films: Recommender) -> None:
    told = films.explain("ann", "m3")
    (same,) = [item for item in films.recommend("ann") if item.id == "m3"]
    assert told.listed
    assert told.score == pytest.approx(same.score, abs=1e-4)
    collab = next(leg for leg in told.legs if leg.leg == "collab")
    assert {event.item: event.followers for event in collab.events} == {
        "m1": 1,
        "m2": 1,
    }  # bob alone took m3 after both


def test_without_the_items_named_the_item_leaves_the_list(any_space: Recommender) -> None:
    """The events about them are really deleted, and workers fold the rest."""
    rec = any_space
    tried = 0
    for n in range(12):
        user = f"u{n}"
        best = rec.recommend(user, 3)[0].id
        told = rec.explain(user, best, 3)
        if not told.without or tried == 3:
            continue
        tried += 1
        gone = [event.id for event in rec.events(user, limit=100) if event.item in told.without]
        seen = list(told.without)
        rec.remove_events(ids=gone, user=user)
        rec.reconcile()
        assert best not in [item.id for item in rec.recommend(user, 3, exclude=seen)]
    assert tried


def test_why_not_names_the_stage(films: Recommender) -> None:
    films.track([Event(user="ann", item="m4", type="dislike", ts=1_700_500_000)])
    films.reconcile()
    stages = {
        "m99": films.why_not("ann", "m99").stage,
        "m1": films.why_not("ann", "m1").stage,
        "m4": films.why_not("ann", "m4").stage,
        "m3": films.why_not("ann", "m3").stage,
        "excluded": films.why_not("ann", "m3", exclude=["m3"]).stage,
        "filter": films.why_not("ann", "m3", filter={"year": {"gte": 2020}}).stage,
        "nobody": films.why_not("nobody", "m3", limit=1).stage,
    }
    assert stages == {
        "m99": "unknown", "m1": "already_seen", "m4": "unwanted", "m3": "listed", "excluded": "excluded", "filter": "filter", "nobody": "fallback",
    }  # fmt: skip
    assert films.why_not("ann", "m5", limit=1).stage in {"rank", "no_leg"}


def test_an_item_that_no_leg_proposes_has_no_evidence(films: Recommender) -> None:
    with pytest.raises(NotFound, match="has seen it"):
        films.explain("ann", "m1")
