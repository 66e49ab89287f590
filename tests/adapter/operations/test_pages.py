"""A longer list begins like a shorter one, and pages add up to it: on both engines, also where many items have equal scores."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from qdrant_client import models

from llmrec_qdrant import InvalidInput, Recommender, SpaceConfig
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import COLLAB, DENSE, INTERESTS, TFIDF, Key
from llmrec_qdrant.space.points import new_point
from tests.spaces import EITHER, merged, space_on

SIZE, ITEMS, TOPICS, USERS, DEPTH = 4, 160, 3, 30, 15


@pytest.fixture(params=EITHER, scope="module")
def tied(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    """A space where most scores occur many times, and a list of ten items needs a tenth of the items."""
    chance = random.Random(7)
    legs = [DENSE, TFIDF, COLLAB]

    def vectors() -> dict[str, Any]:
        words = [
            models.SparseVector(
                indices=sorted(chance.sample(range(12), 3)), values=[1.0, 1.0, chance.choice([1.0, 2.0])]
            )
            for _ in range(2)
        ]
        return {DENSE: [chance.choice([1.0, -1.0]) for _ in range(SIZE)], TFIDF: words[0], COLLAB: words[1]}

    def item(name: str) -> models.PointStruct:
        topic, own = str(chance.randrange(TOPICS)), {"year": chance.randrange(2000, 2004), "title": name}
        kept = {Key.ITEM_ID: name, Key.LEGS: legs, Key.TOPIC_IDS: [topic], Key.POPULARITY: float(chance.randrange(3))}
        return new_point(point_id("item", name, None), {**own, **kept, Key.TENANT: ""}, vectors())

    def user(name: str) -> models.PointStruct:
        seen = [f"i{chance.randrange(ITEMS)}" for _ in range(10)]
        steering = {str(topic): chance.choice([0.0, 0.5, 1.0, 2.0]) for topic in range(TOPICS) if chance.random() < 0.5}
        interests = [
            {"topic": str(topic), "label": f"topic {topic}", "weight": weight, "last_at": 1_700_000_000.0}
            for topic, weight in enumerate((0.6, 0.3, 0.1))
        ]
        payload = {
            Key.USER_ID: name, Key.LEGS: legs, Key.SEEN: seen, Key.STEER: steering, Key.INTERESTS: interests, Key.TENANT: "",
        }  # fmt: skip
        rows = [[chance.choice([1.0, -1.0]) for _ in range(SIZE)] for _ in interests]
        return new_point(point_id("user", name, None), payload, {**vectors(), INTERESTS: rows})

    config = SpaceConfig(model="hash", size=SIZE, prefetch=DEPTH, fields={"year": "integer"})
    with space_on(request, config) as rec:
        rec.client.upsert(rec._space.items, [item(f"i{number}") for number in range(ITEMS)], wait=True)
        topics = [
            new_point(
                point_id("topic", str(number)),
                {Key.TOPIC_ID: str(number), Key.LABEL: f"topic {number}"},
                {DENSE: [1.0] * SIZE},
            )
            for number in range(TOPICS)
        ]
        rec.client.upsert(rec._space.topics, topics, wait=True)
        rec.client.upsert(rec._space.users, [user(f"u{number}") for number in range(USERS)], wait=True)
        yield rec


List = Callable[..., list[Any]]
LISTS: dict[str, Callable[[Recommender, int], List]] = {
    "recommend": lambda rec, n: lambda limit, **o: rec.recommend(f"u{n % USERS}", limit, **o),
    "popular": lambda rec, n: lambda limit, **o: rec.recommend("nobody", limit, **o),
    "similar": lambda rec, n: lambda limit, **o: rec.similar_items(f"i{n}", limit, **o),
    "from": lambda rec, n: lambda limit, **o: rec.recommend_from([f"i{n}", "i3"], ["i4"], limit, **o),
    "search": lambda rec, n: lambda limit, **o: rec.search("space war", None, limit, **o),
    "search for a user": lambda rec, n: lambda limit, **o: rec.search("space war", f"u{n % USERS}", limit, **o),
}
options = st.fixed_dictionaries(
    {},
    optional={
        "filter": st.just({"year": {"gte": 2001}}),
        "exclude": st.just([f"i{number}" for number in range(0, 20, 2)]),
        "diversity": st.sampled_from([0.3, 0.9]),
        "weights": st.sampled_from([{"dense": 1.0}, {"tfidf": 1.0}, {"dense": 1.0, "tfidf": 2.0, "collab": 5.0}]),
        "explain": st.just(True),
    },
)


def pages(listed: List, limit: int, end: int, **chosen: Any) -> list[Any]:
    return [
        item for offset in range(0, end, limit) for item in listed(min(limit, end - offset), offset=offset, **chosen)
    ]


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    name=st.sampled_from([*LISTS, "recommend", "recommend", "recommend"]),
    number=st.integers(0, ITEMS - 1),
    chosen=options,
    end=st.sampled_from([10, DEPTH, 31, 60]),
    limit=st.sampled_from([7, 10, DEPTH, 23]),
    extra=st.fixed_dictionaries(
        {}, optional={"interests": st.just("auto"), "exclude_seen": st.sampled_from([False, "but_last"])}
    ),
)
def test_pages_add_up_to_one_list(
    tied: Recommender, name: str, number: int, chosen: dict[str, Any], end: int, limit: int, extra: dict[str, Any]
) -> None:
    listed = LISTS[name](tied, number)
    chosen = chosen | (extra if name == "recommend" else {})
    whole = listed(end, **chosen)
    ids = [item.id for item in whole]
    assert len(set(ids)) == len(ids)
    assert pages(listed, limit, end, **chosen) == whole
    assert listed(200, **chosen)[:end] == whole
    assert listed(10, offset=990, **chosen) == []


@pytest.mark.parametrize("limit", [4, 9])
def test_pages_of_users_rows_and_top(tied: Recommender, limit: int) -> None:
    users = lambda limit, offset=0: tied.similar_users("u1", limit, offset=offset)  # noqa: E731
    assert pages(users, limit, 25) == users(25) != []
    top = lambda limit, offset=0: tied.top(limit, by="year", offset=offset)  # noqa: E731
    assert pages(top, limit, 100) == top(100) == top(200)[:100]
    rows = {shelf.title: shelf.items for shelf in tied.shelves("u2", 3, 100)}
    assert rows and all(len(items) > 2 * DEPTH for items in rows.values())
    for offset in range(0, 2 * DEPTH, limit):
        for shelf in tied.shelves("u2", 3, limit, offset=offset):
            assert shelf.items == rows[shelf.title][offset : offset + limit]


def test_a_long_list_falls_and_holds_every_item(tied: Recommender) -> None:
    for user in ("u1", "u2", "u3"):
        scores = [item.score for item in tied.recommend(user, 1000, exclude_seen=False)]
        assert scores == sorted(scores, reverse=True)
    assert len(tied.recommend("u0", 1000, exclude_seen=False, weights={"dense": 1.0})) > DEPTH


@pytest.mark.parametrize("user", [f"u{number}" for number in range(8)] + ["nobody"])
def test_the_body_of_every_page_asks_for_the_items_of_that_page(tied: Recommender, user: str) -> None:
    """Of equal scores, which Qdrant returns in any order, any may be on a page; their scores are those of the list."""
    for offset, limit in ((0, 10), (7, 8), (10, 30), (60, 20)):
        body = models.QueryRequest.model_validate(tied.request(user, limit, offset=offset))
        points = tied.client.query_batch_points(tied._space.items, [body])[0].points
        listed = tied.recommend(user, limit, offset=offset)
        if user == "nobody":
            assert [merged(point.payload)["item_id"] for point in points] == [item.id for item in listed]
            continue
        scores = {item.id: item.score for item in tied.recommend(user, 200)}
        assert [point.score for point in points] == [item.score for item in listed]
        assert [scores[merged(point.payload)["item_id"]] for point in points] == [item.score for item in listed]


def test_a_list_is_the_same_each_time(tied: Recommender) -> None:
    for user in range(10):
        first = tied.recommend(f"u{user}", 10)
        assert all(tied.recommend(f"u{user}", 10) == first for _ in range(5))


@pytest.mark.parametrize("page", [(-1, 10), (1.0, 10), (True, 10), ("1", 10), (991, 10), (1000, 1), (10**30, 1)])
def test_a_page_that_cannot_be_is_refused(tied: Recommender, page: tuple[Any, int]) -> None:
    offset, limit = page
    for listed in (
        lambda: tied.recommend("u1", limit, offset=offset), lambda: tied.request("u1", limit, offset=offset),
        lambda: tied.similar_users("u1", limit, offset=offset), lambda: tied.shelves("u1", 2, limit, offset=offset),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match="offset"):
            listed()
