"""Dislikes, low ratings, returns and negative examples push away: over random spaces, in every leg, on both back ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pytest

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from llmrec_qdrant.space.conditions import only
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.testing import MemoryQueue
from tests.films import T0
from tests.spaces import EITHER, space_on

KINDS = ("liked", "hated", "never", "other")
PER_KIND = 9
LEGS: list[Mapping[str, float] | None] = [None, {"dense": 1}, {"tfidf": 1}, {"collab": 1}, {"dense": 1, "collab": 3}]
HOUR = 3_600


@dataclass
class World:
    """A space of four kinds that share no word and no user."""

    rec: Recommender
    random: Random
    near: dict[str, np.ndarray]
    """Item → its dense vector."""

    def pairs(self, *disliked: str) -> list[tuple[str, str]]:
        """Pairs of an item that shares something with the disliked only, and one that shares nothing, nor is closer."""

        def closeness(item: str) -> np.ndarray:
            return np.array([self.near[item] @ self.near[other] for other in disliked])

        alike = [f"hated{n}" for n in range(PER_KIND) if f"hated{n}" not in disliked]
        return [
            (item, other)
            for item in alike
            for other in (f"{kind}{n}" for kind in ("never", "other") for n in range(PER_KIND))
            if (closeness(item) >= np.maximum(closeness(other), 0)).all()
        ]

    def some(self, kind: str, number: int) -> list[str]:
        return [f"{kind}{n}" for n in self.random.sample(range(PER_KIND), number)]


@pytest.fixture(params=EITHER)
def empty(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, SpaceConfig(model="hash", size=384)) as rec:
        yield rec


@pytest.fixture(params=[1, 2, 3])
def world(request: pytest.FixtureRequest, empty: Recommender) -> World:
    random = Random(request.param)
    letters = random.sample("abcdefghijklmnopqrstuvwx", 24)
    words = {
        kind: ["".join(random.choices(letters[6 * place : 6 * place + 6], k=7)) for _ in range(12)]
        for place, kind in enumerate(KINDS)
    }
    texts = [(f"{kind}{n}", " ".join(random.sample(words[kind], 6))) for kind in KINDS for n in range(PER_KIND)]
    empty.upsert_items([Item(id=item, title=text[:7], text=text) for item, text in texts])
    crowd = [(kind, f"{kind}-fan{u}") for kind in KINDS for u in range(3)]
    empty.track(
        [
            Event(user=user, item=f"{kind}{n}", type="view", ts=T0 + k * HOUR)
            for kind, user in crowd
            for k, n in enumerate(random.sample(range(PER_KIND), random.randint(4, PER_KIND)))
        ]
    )
    empty.reconcile()
    ids = {point_id("item", item): item for item, _ in texts}
    stored = empty.client.retrieve(empty._space.items, list(ids), with_vectors=["dense"])
    return World(empty, random, {ids[str(point.id)]: np.array(point.vector["dense"]) for point in stored})  # type: ignore[index,call-overload]


def places(listed: list[Any]) -> dict[str, float]:
    return {one.id: place for place, one in enumerate(listed)}


def assert_nothing_rises(before: dict[str, float], after: dict[str, float], pairs: list[tuple[str, str]]) -> None:
    for item, other in pairs:
        if other in before and before[other] < before.get(item, math.inf):
            assert not after.get(item, math.inf) < after.get(other, math.inf), (item, other)


def said_no(user: str, item: str, ts: int, how: str) -> list[Event]:
    if how == "return":
        return [Event(user=user, item=item, type=kind, ts=ts + k) for k, kind in enumerate(["purchase", "return"])]
    return [Event(user=user, item=item, type=how, value=1 if how == "rating" else None, ts=ts)]


@pytest.mark.parametrize("how", ["dislike", "rating", "return"])
def test_nothing_like_a_disliked_item_rises_and_the_item_itself_never_comes_back(world: World, how: str) -> None:
    """Twins with the same likes; one has also disliked, at any time."""
    liked, hated = world.some("liked", 3), world.some("hated", world.random.randint(1, 3))
    likes = [("like" if world.random.random() < 0.5 else "view", item) for item in liked]
    for user in ("before", "after"):
        world.rec.track(
            [Event(user=user, item=item, type=kind, ts=T0 + k * HOUR) for k, (kind, item) in enumerate(likes)]
        )
    for item in hated:
        world.rec.track(said_no("after", item, T0 + world.random.randrange(4 * HOUR), how))
    world.rec.reconcile()
    for weights in LEGS:
        for seen in (True, "but_last", False):
            lists = [
                world.rec.recommend(user, 100, weights=weights, exclude_seen=seen)  # type: ignore[arg-type]
                for user in ("before", "after")
            ]
            assert not set(hated) & places(lists[1]).keys()
            if not lists[0][0].reason:
                assert_nothing_rises(places(lists[0]), places(lists[1]), world.pairs(*hated))


def test_who_only_dislikes_gets_popular_items_of_other_kinds(world: World) -> None:
    popular = places(world.rec.recommend("nobody", 100))
    for number, how in ((1, "rating"), (3, "dislike")):
        user, hated = f"hater{number}", world.some("hated", number)
        for item in hated:
            world.rec.track(said_no(user, item, T0, how))
        world.rec.reconcile()
        for seen in (True, False):
            listed = world.rec.recommend(user, 100, exclude_seen=seen)
            assert listed[0].reason == f"popular: '{user}' has only said what to leave out"
            assert not set(hated) & places(listed).keys()
            explained = world.rec.recommend(user, 3, exclude_seen=seen, weights={"dense": 1}, explain=True)
            assert [one.legs for one in explained] == [{"dense": 0}] * 3  # no leg made this list
            assert not any(one.id.startswith("hated") for one in listed[: 2 * PER_KIND])
            assert [one.score for one in listed] == sorted((one.score for one in listed), reverse=True)
            assert_nothing_rises(popular, places(listed), world.pairs(*hated))
            assert [one.id for one in listed[:3]] == [one.id for one in world.rec.recommend(user, 3, exclude_seen=seen)]


def test_negative_examples_push_away(world: World) -> None:
    liked, hated = world.some("liked", 2), world.some("hated", 2)
    for weights in LEGS:
        before = world.rec.recommend_from(liked, limit=100, weights=weights)  # type: ignore[arg-type]
        after = world.rec.recommend_from(liked, hated, limit=100, weights=weights)  # type: ignore[arg-type]
        assert not set(hated) & places(after).keys()
        assert_nothing_rises(places(before), places(after), world.pairs(*hated))
        if weights != {"dense": 1}:
            assert after[0].id.startswith("liked")


def test_words_of_negative_examples_are_taken_away(empty: Recommender) -> None:
    texts = {"a": "rocket orbit", "b": "rocket cellar", "c": "orbit moon", "d": "cellar ghost", "e": "cellar rocket"}
    empty.upsert_items([Item(id=item, text=text) for item, text in texts.items()])

    def listed(*negative: str) -> set[str]:
        return {one.id for one in empty.recommend_from(["a"], list(negative), weights={"tfidf": 1})}

    assert listed() == {"b", "c", "e"}
    assert listed("b") == {"c"}  # nothing is left of "rocket"; "cellar" would be negative
    assert listed("a") == {"b", "c", "e"}, "an example that is liked, too, is liked"


@pytest.fixture
def untold(world: World) -> Callable[[list[Event]], Recommender]:
    """Tracks events that no worker has folded yet."""

    def track(events: list[Event]) -> Recommender:
        waiting = Recommender(world.rec.client, MemoryQueue(), world.rec.space)
        waiting.track(events)
        return waiting

    return track


def test_what_was_just_tracked_is_left_out_before_a_worker_has_seen_it(
    world: World, untold: Callable[[list[Event]], Recommender]
) -> None:
    best = [one.id for one in world.rec.recommend("liked-fan0", 2, exclude_seen=False)]
    for user, exclude, kept in (("liked-fan0", True, set()), ("liked-fan0", False, {best[1]}), ("new", True, set())):
        rec = untold(
            [
                Event(user=user, item=best[0], type="rating", value=1, ts=T0 + 9 * HOUR),
                Event(user=user, item=best[1], type="view", ts=T0 + 10 * HOUR),
            ]
        )
        listed = {one.id for one in rec.recommend(user, 100, exclude_seen=exclude)}
        assert listed and set(best) & listed == kept
        assert len(rec.request(user, 100, exclude_seen=exclude)["filter"]["must_not"]) == 1


@pytest.mark.parametrize(
    ("told", "listed"),
    [
        ("dislike like", True), ("like dislike", False), ("dislike undislike", True), ("dislike view", False), ("dislike purchase", False),
        ("purchase return", False), ("purchase return purchase", True), ("return like", True), ("rating-1 rating-5", True),
        ("rating-5 rating-1", False), ("dislike review", False), ("return view", False),
    ],
)  # fmt: skip
def test_the_latest_word_counts_before_a_worker_has_seen_it(
    world: World, untold: Callable[[list[Event]], Recommender], told: str, listed: bool
) -> None:
    """The worker that folds the same events afterwards agrees."""
    events = [
        Event(user="me", item="never0", type=kind, value=float(value) if value else None, ts=T0 + n * HOUR)
        for n, (kind, _, value) in enumerate(word.partition("-") for word in told.split())
    ]
    Random(told).shuffle(events)
    untold(events[:1])
    waiting = untold(events[1:])
    found = {one.id for one in waiting.recommend("me", 100, exclude_seen=False)}
    assert ("never0" in found) == listed
    world.rec.reconcile()
    assert ("never0" in {one.id for one in world.rec.recommend("me", 100, exclude_seen=False)}) == listed


def test_the_popular_items_leave_out_the_topics_of_what_was_disliked(world: World) -> None:
    rec = world.rec
    for kind in KINDS:
        ids = [point_id("item", f"{kind}{n}") for n in range(PER_KIND)]
        rec.client.set_payload(rec._space.items, {"topic_ids": [f"topic-{kind}"]}, only(*ids))
    rec.track(said_no("hater", "hated0", T0, "dislike"))
    rec.reconcile()
    assert {one.id[:5] for one in rec.recommend("hater", 100)} == {"liked", "never", "other"}
