"""Under the limits of strict mode, answers are what they are without: each limit is set low on a server, then taken away."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from qdrant_client import models

from llmrec_qdrant import Event, InvalidInput, Item, QdrantRefused, QdrantUnavailable, Recommender, SpaceConfig
from llmrec_qdrant.operations import limits, steps
from llmrec_qdrant.operations.limits import split
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import COLLAB, COLLECTION_KINDS, DENSE, INTERESTS, TFIDF, Key
from llmrec_qdrant.space.points import new_point
from tests.spaces import drop, fresh_name, store_of

pytestmark = pytest.mark.qdrant

SIZE, ITEMS, USERS, TOPICS, DEPTH = 8, 150, 12, 3, 15
LEGS = [DENSE, TFIDF, COLLAB]


WIDE = {
    "max_query_limit": 10**6, "upsert_max_batchsize": 10**6, "condition_max_size": 10**6, "filter_max_conditions": 10**6,
    "search_allow_exact": True, "read_rate_limit": 10**6, "write_rate_limit": 10**6, "max_points_count": 10**9,
    "max_payload_index_count": 100, "max_collection_vector_size_bytes": 10**12, "max_collection_payload_size_bytes": 10**12,
}  # fmt: skip
"""Limits that limit nothing: a setting that is not named keeps its value."""


@contextmanager
def strict(rec: Recommender, **limited: Any) -> Iterator[Recommender]:
    """The same space in strict mode, seen by a client that knows nothing of it yet."""
    names = [rec._space.alias(kind) for kind in COLLECTION_KINDS]
    for name in names:
        rec.client.update_collection(
            name, strict_mode_config=models.StrictModeConfig(enabled=True, **{**WIDE, **limited})
        )
        limits._known.pop(name, None)
    try:
        with Recommender.connect(rec.client._client.rest_uri, space=rec.space) as other:
            yield other
    finally:
        for name in names:
            rec.client.update_collection(name, strict_mode_config=models.StrictModeConfig(enabled=False))
            limits._known.pop(name, None)


@pytest.fixture(scope="module")
def varied(qdrant_url: str) -> Iterator[Recommender]:
    """A space in which no two items have equal scores."""
    chance, draw = random.Random(3), np.random.default_rng(3)

    def vectors() -> dict[str, Any]:
        bags = [
            models.SparseVector(
                indices=sorted(chance.sample(range(9), 4)), values=[1 + chance.random() for _ in range(4)]
            )
            for _ in range(2)
        ]
        return {DENSE: draw.normal(size=SIZE).tolist(), TFIDF: bags[0], COLLAB: bags[1]}

    def item(number: int) -> models.PointStruct:
        payload = {
            Key.ITEM_ID: f"i{number}", "title": f"t{number}", "year": 2000 + number % 7, Key.LEGS: LEGS,
            Key.TOPIC_IDS: [str(chance.randrange(TOPICS))], Key.POPULARITY: chance.random() * 9, Key.TENANT: "",
        }  # fmt: skip
        return new_point(point_id("item", f"i{number}", None), payload, vectors())

    def user(number: int) -> models.PointStruct:
        interests = [
            {"topic": str(topic), "label": f"topic {topic}", "weight": 0.5, "last_at": 1.7e9} for topic in range(TOPICS)
        ]
        steering = [{}, {"0": 0.5}, {"1": 2.0}, {"0": 0.0, "1": 0.3, "2": 3.0}][number % 4]
        payload = {
            Key.USER_ID: f"u{number}", Key.LEGS: LEGS, Key.STEER: steering, Key.INTERESTS: interests, Key.TENANT: "",
            Key.SEEN: [f"i{chance.randrange(ITEMS)}" for _ in range(10)],
        }  # fmt: skip
        rows = draw.normal(size=(TOPICS, SIZE)).tolist()
        return new_point(point_id("user", f"u{number}", None), payload, {**vectors(), INTERESTS: rows})

    rec = Recommender.connect(qdrant_url, space=fresh_name())
    rec.create(SpaceConfig(model="hash", size=SIZE, prefetch=DEPTH, fields={"year": "integer"}))
    topics = [
        new_point(point_id("topic", str(n)), {Key.TOPIC_ID: str(n), Key.LABEL: f"topic {n}"}, {DENSE: [1.0] * SIZE})
        for n in range(TOPICS)
    ]
    for name, points in (
        (rec._space.items, [item(number) for number in range(ITEMS)]),
        (rec._space.users, [user(number) for number in range(USERS)]),
        (rec._space.topics, topics),
    ):
        rec.client.upsert(name, points, wait=True)
    rec.search("space war")  # stores and encodes the text
    rec.track([Event(user="averse", item="i5", type="dislike")])
    yield rec
    drop(rec)


LISTS: dict[str, Callable[[Recommender], Any]] = {
    "short": lambda rec: rec.recommend("u0", 5),
    "long": lambda rec: rec.recommend("u0", 60),
    "page": lambda rec: rec.recommend("u4", 20, offset=33),
    "lowered topic": lambda rec: rec.recommend("u1", 40),
    "boosted topic": lambda rec: rec.recommend("u2", 40),
    "muted topic": lambda rec: rec.recommend("u3", 40, filter={"year": {"gte": 2002}}),
    "diverse": lambda rec: rec.recommend("u0", 20, diversity=0.5),
    "by interests": lambda rec: rec.recommend("u0", 20, interests="auto"),
    "explained": lambda rec: rec.recommend("u0", 20, explain=True),
    "weights": lambda rec: rec.recommend("u4", 30, weights={"dense": 1.0, "collab": 3.0}),
    "one leg": lambda rec: rec.recommend("u4", 120, weights={"dense": 1.0}),
    "many excluded": lambda rec: rec.recommend("u4", 30, exclude=[f"i{n}" for n in range(0, 90, 2)]),
    "popular": lambda rec: rec.recommend("nobody", 50),
    "popular but unlike": lambda rec: rec.recommend("averse", 50),
    "top": lambda rec: rec.top(70, by="year"),
    "similar": lambda rec: rec.similar_items("i3", 50),
    "from": lambda rec: rec.recommend_from(["i3", "i4"], ["i9"], 50),
    "search": lambda rec: rec.search("space war", None, 50),
    "search for a user": lambda rec: rec.search("space war", "u5", 50),
    "rows": lambda rec: [item for shelf in rec.shelves("u5", 3, 30) for item in shelf.items],
    "users": lambda rec: rec.similar_users("u5", 11),
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize(
    "limited", [{"max_query_limit": 6}, {"max_query_limit": 20}, {"condition_max_size": 4}], ids=str
)
def test_a_list_is_the_same_under_a_limit(varied: Recommender, name: str, limited: dict[str, int]) -> None:
    free = LISTS[name](varied)
    with strict(varied, **limited) as rec:
        kept = LISTS[name](rec)
    assert len(free) >= 5
    assert [line.id for line in kept] == [line.id for line in free]
    assert [line.score for line in kept] == pytest.approx([line.score for line in free], rel=1e-4, abs=1e-5)
    bare = [line.model_copy(update={"score": 0.0, "legs": {}}) for line in kept]
    assert bare == [line.model_copy(update={"score": 0.0, "legs": {}}) for line in free]


@pytest.mark.parametrize("user", ["u0", "u1", "u2"])
def test_evidence_adds_up_under_a_limit(varied: Recommender, user: str) -> None:
    with strict(varied, max_query_limit=6) as rec:
        listed = rec.recommend(user, 25, explain="evidence")
    for item in listed:
        told = item.evidence
        assert told is not None
        parts = [*(leg.contribution for leg in told.legs), *(one.contribution for one in told.adjustments)]
        assert sum(parts) == pytest.approx(item.score, abs=1e-3)


def test_pages_add_up_under_a_limit(varied: Recommender) -> None:
    with strict(varied, max_query_limit=6) as rec:
        whole = rec.recommend("u4", 60)
        paged = [item for offset in range(0, 60, 7) for item in rec.recommend("u4", min(7, 60 - offset), offset=offset)]
    assert [item.id for item in paged] == [item.id for item in whole]


def test_a_body_says_what_one_request_cannot_have(varied: Recommender) -> None:
    with strict(varied, max_query_limit=20) as rec:
        (answer,) = rec.client.query_batch_points(
            rec._space.items, [models.QueryRequest.model_validate(rec.request("u4", 5))]
        )
        assert [point.payload["item_id"] for point in answer.points] == [item.id for item in rec.recommend("u4", 5)]
        with pytest.raises(InvalidInput, match=r"reaches 20 items .* plus limit is 43"):
            rec.request("u4", 10, offset=33)


# --- facets, counts and writes --------------------------------------------------------------------


def test_facets_and_counts_are_whole_under_a_limit(varied: Recommender) -> None:
    inside = conditions.where(
        conditions.one_of(Key.TOPIC_IDS, ["0", "1"]), conditions.none_of(conditions.equals("year", 2001))
    )
    with strict(varied, max_query_limit=2, search_allow_exact=False, condition_max_size=1) as rec:
        kept = store_of(rec).items
        values = kept.facet(Key.ITEM_ID, limit=1_000, exact=True)
        topics = kept.facet(Key.TOPIC_IDS, limit=10)
        counts = kept.count(), kept.count(inside)
    points = [point for page in store_of(varied).items.pages() for point in page]
    assert values == {f"i{number}": 1 for number in range(ITEMS)}
    assert topics == Counter(point.payload[Key.TOPIC_IDS][0] for point in points)
    assert counts == (
        ITEMS,
        sum(point.payload[Key.TOPIC_IDS][0] in "01" and point.payload["year"] != 2001 for point in points),
    )


@pytest.fixture
def rec(qdrant_url: str) -> Iterator[Recommender]:
    made = Recommender.connect(qdrant_url, space=fresh_name())
    made.create({"model": "hash", "size": 16})
    yield made
    drop(made)


@pytest.mark.parametrize(
    "limited", [{"upsert_max_batchsize": 3}, {"condition_max_size": 3}, {"search_allow_exact": False}], ids=str
)
def test_writes_and_work_are_whole_under_a_limit(rec: Recommender, limited: dict[str, Any]) -> None:
    names = [f"i{number}" for number in range(20)]
    with strict(rec, **limited) as other:
        written = other.upsert_items([Item(id=name, title=f"rocket {name}") for name in names])
        other.track([Event(user=f"u{n % 7}", item=f"i{n}", type="like") for n in range(20)])
        assert (written.written, other.status().items_stale, other.status().users_stale) == (20, 0, 0)
        assert sorted(item.id for item in other.iter_items()) == sorted(names)
        assert sorted(other.users()) == [f"u{n}" for n in range(7)]
        assert len(other.recommend("u1", 10)) == 10
        assert other.delete_items(names[:9]) == 9
        assert other.forget_user("u3") > 0 and not any(other.traces_of("u3").values())
        assert sorted(item.id for item in other.iter_items()) == sorted(names[9:])


def test_partial_rebuilds_read_every_taker_under_a_limit(rec: Recommender) -> None:
    """Twenty users took two items in a row; a facet lists three of them."""
    rec.upsert_items([Item(id=name, title=name) for name in ("a", "b", "c", "d")])
    rec.load_events(
        [
            Event(user=f"u{n}", item=item, type="like", ts=1_700_000_000 + t)
            for n in range(20)
            for t, item in enumerate("ab")
        ]
    )
    rec.reconcile()
    store = store_of(rec)
    whole = store.items.retrieve([point_id("item", "b", None)], [Key.POPULARITY], [COLLAB])[0]
    with strict(rec, max_query_limit=3) as other:
        worker = store_of(other)
        worker.items.set_payload({Key.POPULARITY: 0.0}, conditions.only(whole.id))
        from workers.items.collab import refit

        refit(worker, worker.config(), [whole.id])
    again = store.items.retrieve([whole.id], [Key.POPULARITY], [COLLAB])[0]
    assert whole.get(Key.POPULARITY) == again.get(Key.POPULARITY) == 20
    assert whole.sparse(COLLAB) == again.sparse(COLLAB)


# --- what cannot be had says so -------------------------------------------------------------------


def test_vectors_that_are_too_long_are_set_aside_beside_shorter_ones(rec: Recommender) -> None:
    longest = {"tfidf": models.StrictModeSparse(max_length=3)}
    with strict(rec, sparse_config=longest) as other:
        other.upsert_items([Item(id="a", title="rocket"), Item(id="b", title="rocket moon star orbit comet")])
        (failure,) = other.failures()
        assert failure.id == "b" and "raise sparse_config in the strict mode" in failure.reason
        assert [item.id for item in other.search("rocket")] == ["a"]


def test_events_can_be_set_aside_in_a_space_of_an_earlier_release(rec: Recommender) -> None:
    """It has no index for that, and strict mode filters by indexed keys only."""
    rec.client.delete_payload_index(rec._space.events, Key.SET_ASIDE, wait=True)
    indexed = {"unindexed_filtering_retrieve": False, "unindexed_filtering_update": False}
    with strict(rec, **indexed) as other:
        assert (other.status().set_aside, other.failures(), other.retry()) == (0, [], 0)
        event = {
            "user_id": "u",
            "type": "like",
            "item_id": "i",
            "tenant": "",
            "ts": "soon",
            "bookkeeping": {"folded": False},
        }
        rec.client.upsert(rec._space.events, [models.PointStruct(id=7, vector={}, payload=event)], wait=True)
        other.reconcile()
        assert (other.status().set_aside, other.status().events_unfolded) == (1, 0)
        assert ["'ts' must be a time in ISO form, not 'soon'" in failure.reason for failure in other.failures()] == [
            True
        ]
    rec.client.update_collection(
        rec._space.events, strict_mode_config=models.StrictModeConfig(**dict.fromkeys(indexed, True))
    )


@pytest.mark.parametrize(
    ("limited", "said"),
    [
        ({"max_points_count": 1}, "max_points_count"),
        ({"max_collection_vector_size_bytes": 1}, "max_collection_vector_size_bytes"),
        ({"max_collection_payload_size_bytes": 1}, "max_collection_payload_size_bytes"),
    ],
    ids=str,
)
def test_a_full_collection_says_which_setting_to_raise(rec: Recommender, limited: dict[str, int], said: str) -> None:
    rec.upsert_items([Item(id=f"i{number}", title="rocket") for number in range(300)])
    with (
        strict(rec, **limited) as other,
        pytest.raises(QdrantRefused, match=f"To go on, raise {said} in the strict mode"),
    ):
        for number in range(300, 2_000, 100):
            other.upsert_items([Item(id=f"i{n}", title="rocket") for n in range(number, number + 100)])


def test_vectors_that_a_full_collection_refuses_are_set_aside_until_there_is_room(rec: Recommender) -> None:
    rec.upsert_items([Item(id=f"i{number}", title="rocket") for number in range(5)])
    rec.load_events([Event(user="u1", item="i1", type="like")])
    with strict(rec, max_collection_vector_size_bytes=1) as other:
        for _ in range(130):  # Qdrant looks at the size now and then
            store_of(other).items.set_payload({Key.STALE: True}, models.Filter())
            other.reconcile()
            if other.status().set_aside:
                break
        reasons = {failure.reason for failure in other.failures()}
    assert reasons and all("raise max_collection_vector_size_bytes" in reason for reason in reasons)
    with strict(rec) as other:
        assert other.retry() > 0
        assert (other.status().set_aside, other.status().items_stale) == (0, 0)


def test_a_filter_of_too_many_conditions_says_which_setting_to_raise(varied: Recommender) -> None:
    many: dict[str, Any] = {"should": [{"key": "year", "match": {"value": 1990 + n}} for n in range(9)]}
    with (
        strict(varied, filter_max_conditions=5) as rec,
        pytest.raises(QdrantRefused, match="raise filter_max_conditions"),
    ):
        rec.recommend("u0", 5, filter=many)


def test_too_many_indexes_say_which_setting_to_raise(rec: Recommender) -> None:
    with (
        strict(rec, max_payload_index_count=3) as other,
        pytest.raises(QdrantRefused, match="raise max_payload_index_count"),
    ):
        other.create({"fields": {"price": "integer"}})


# --- rates ----------------------------------------------------------------------------------------


def test_a_short_pause_is_made_where_qdrant_asks_for_it(varied: Recommender) -> None:
    free = varied.recommend("u0", 5)
    with strict(varied, read_rate_limit=120) as rec:
        answers = [
            rec.recommend("u0", 5, exclude=[f"x{n}"]) for n in range(17)
        ]  # Qdrant counts each as eight, and has 120 in store
    assert all(answer == free for answer in answers)


@pytest.mark.parametrize(
    ("pauses", "raised"), [([1.0, 2.0, 3.0], False), ([6.0, 6.0], True), ([30.0], True), ([0.0], True)]
)
def test_pauses_are_made_up_to_ten_seconds(pauses: list[float], raised: bool) -> None:
    effects = steps.call("scroll")
    effect, slept = next(effects), []
    try:
        for pause in pauses:
            effect = effects.throw(QdrantUnavailable("busy", retry_after=pause or None))
            assert isinstance(effect, steps.Sleep)
            slept.append(effect.seconds)
            effect = next(effects)
        with pytest.raises(StopIteration, match="answer"):
            effects.send("answer")
    except QdrantUnavailable:
        assert raised
        return
    assert not raised and slept == pauses


# --- filters --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_a_split_filter_matches_the_same_points(varied: Recommender, seed: int) -> None:
    chance = random.Random(seed)

    def condition(depth: int) -> Any:
        match chance.randrange(3 if depth else 2):
            case 0:
                ids = [point_id("item", f"i{chance.randrange(ITEMS)}", None) for _ in range(chance.randrange(1, 60))]
                return conditions.has_id(*ids)
            case 1:
                return conditions.one_of("year", [chance.randrange(1998, 2008) for _ in range(chance.randrange(1, 6))])
        return whole(depth - 1)

    def whole(depth: int) -> models.Filter:
        clauses = {
            name: [condition(depth) for _ in range(chance.randrange(3))] for name in ("must", "should", "must_not")
        }
        return models.Filter(**{name: some or None for name, some in clauses.items()})

    filter, items = whole(2), store_of(varied).items
    few = split(filter, 3)
    assert few != filter or seed
    found = [{point.id for page in items.pages(each, False) for point in page} for each in (filter, few)]
    assert found[0] == found[1]
