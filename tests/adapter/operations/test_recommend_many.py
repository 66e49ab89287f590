"""Lists of many users at once are the lists of each, in the round trips of one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from llmrec_qdrant import AsyncRecommender, Event, InvalidInput, QdrantUnavailable, Recommender
from llmrec_qdrant.errors import QdrantRefused
from llmrec_qdrant.operations.batching import map_ahead
from llmrec_qdrant.operations.recommend import USERS_TOGETHER
from llmrec_qdrant.operations.steps import Call, Sleep, Steps, Together, call, drive
from llmrec_qdrant.operations.together import run_together
from llmrec_qdrant.testing import MemoryQueue
from tests.films import DAY, T0, history, scored, watched

OPTIONS: list[dict[str, Any]] = [
    {},
    {"limit": 3, "exclude_seen": "but_last", "weights": {"dense": 1, "collab": 3}},
    {"explain": True, "exclude": ["m3"]},
    {"diversity": 0.5, "interests": "auto", "filter": {"year": {"gte": 1980}}},
    {"explain": "evidence", "limit": 2},
]


@pytest.fixture
def people(rec: Recommender) -> list[str]:
    """Users with histories, one with events that no worker has seen, one who only dislikes, and one whom nobody knows."""
    watched(rec)
    rec._queue = MemoryQueue()
    rec.track([Event(user="bob", item="m5", type="view", ts=T0 + 20 * DAY)])
    rec.track(history("eve", "m4", kind="dislike"))
    return ["ann", "bob", "nobody", "cat", "eve", "ann"]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_they_are_the_lists_of_each_user(rec: Recommender, people: list[str], options: dict[str, Any]) -> None:
    many = list(rec.recommend_many(iter(people), **options))
    assert [user for user, _ in many] == people
    for user, listed in many:
        alone = rec.recommend(user, **options)
        assert scored(listed) == scored(alone)
        assert [(one.reason, one.legs) for one in listed] == [(one.reason, one.legs) for one in alone]


def test_the_awaited_iterator_gives_the_same(rec: Recommender, people: list[str]) -> None:
    async def ask() -> list[tuple[str, list[Any]]]:
        awaited = AsyncRecommender(rec.client, rec._queue, rec.space)
        return [pair async for pair in awaited.recommend_many(people, 4)]

    assert [(user, scored(listed)) for user, listed in asyncio.run(ask())] == [
        (user, scored(listed)) for user, listed in rec.recommend_many(people, 4)
    ]


def test_a_batch_takes_few_requests(rec: Recommender, people: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made: Counter[str] = Counter()
    for method in ("retrieve", "query_batch_points"):
        real = getattr(rec.client, method)

        def counted(*given: Any, _real: Any = real, _name: str = method, **more: Any) -> Any:
            made[_name] += 1
            return _real(*given, **more)

        monkeypatch.setattr(rec.client, method, counted)
    users = ["ann", "cat"] * (USERS_TOGETHER // 2)
    assert len(list(rec.recommend_many(users))) == len(users)
    assert made == {"retrieve": 1, "query_batch_points": 1}


def test_nothing_is_asked_before_the_first_list_is_read(rec: Recommender) -> None:
    def endless() -> Iterator[str]:
        number = 0
        while True:
            yield f"u{number}"
            number += 1

    watched(rec)
    lists = rec.recommend_many(endless(), 2)
    assert [next(lists)[0] for _ in range(3)] == ["u0", "u1", "u2"]


@pytest.mark.parametrize("odd", ["", None, float("nan"), b"ann"])
def test_what_is_no_user_is_refused(rec: Recommender, odd: Any) -> None:
    with pytest.raises(InvalidInput):
        list(rec.recommend_many(["ann", odd]))


def test_wrong_options_are_refused_at_once(rec: Recommender) -> None:
    with pytest.raises(InvalidInput):
        rec.recommend_many(["ann"], limit=0)
    assert [user for user, _ in rec.recommend_many("ann")] == ["ann"]


# --- operations that run together ---------------------------------------------------------------------


class Point:
    def __init__(self, id: str) -> None:
        self.id = id


class Scripted:
    """A client that knows points "a" to "e", and fails where a test says so."""

    def __init__(self, **errors: Exception) -> None:
        self.made: list[tuple[str, tuple[str, ...]]] = []
        self._errors = errors

    def retrieve(self, collection_name: str, ids: list[str], **more: Any) -> list[Point]:
        self.made.append((collection_name, tuple(ids)))
        for point in ids:
            if point in self._errors:
                raise self._errors[point]
        return [Point(one) for one in reversed(ids) if one in "abcde"]


def read(ids: str, collection: str = "users") -> Steps[str]:
    records = yield from call(
        "retrieve", collection_name=collection, ids=list(ids), with_payload=True, with_vectors=False
    )
    return "".join(record.id for record in records)


def run(client: Any, *operations: Steps[Any]) -> list[Any]:
    return drive(run_together(operations), client, MemoryQueue())


def test_reads_of_a_collection_are_one_request_and_each_gets_its_own_points() -> None:
    client = Scripted()
    assert run(client, read("ab"), read("bzc"), read("a", "items"), read("d")) == ["ab", "bc", "a", "d"]
    assert client.made == [("users", ("a", "b", "z", "c", "d")), ("items", ("a",))]


def test_one_that_qdrant_refuses_does_not_stop_the_others() -> None:
    ended: list[str] = []

    def noted(ids: str) -> Steps[None]:
        ended.append((yield from read(ids)))

    client = Scripted(x=QdrantRefused("x is refused"))
    with pytest.raises(QdrantRefused, match="x is refused"):
        run(client, noted("a"), noted("x"), noted("b"))
    assert ended == ["a", "b"]


def test_a_server_that_is_away_is_asked_once() -> None:
    client = Scripted(a=QdrantUnavailable("away"))
    with pytest.raises(QdrantUnavailable):
        run(client, read("a"), read("b"))
    assert client.made == [("users", ("a", "b"))]


def test_operations_of_different_length_and_with_pauses_end() -> None:
    def longer(pause: float) -> Steps[str]:
        first = yield from read("a")
        yield Sleep(pause)
        return first + (yield from read("b"))

    steps = run_together([longer(1.0), read("c"), longer(3.0)])
    effect: Any = next(steps)
    slept: list[float] = []
    client = Scripted()
    try:
        while True:
            match effect:
                case Sleep(seconds):
                    slept.append(seconds)
                    effect = steps.send(None)
                case Together(calls):
                    effect = steps.send([client.retrieve(**each.arguments) for each in calls])
                case Call():
                    effect = steps.send(client.retrieve(**effect.arguments))
    except StopIteration as end:
        assert end.value == ["ab", "c", "ab"]
    assert slept == [3.0]


def test_nothing_runs_further_ahead_than_a_few() -> None:
    begun: list[int] = []
    with ThreadPoolExecutor(1) as threads:
        results = map_ahead(threads, lambda value: begun.append(value) or value, range(100))
        assert [next(results), next(results)] == [0, 1]
        assert len(begun) <= 4
    assert list(map_ahead(None, str, range(3))) == ["0", "1", "2"]
