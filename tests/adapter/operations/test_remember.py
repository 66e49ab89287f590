"""Round trips: how many each list costs, and that an answer from memory is never trusted unverified."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from qdrant_client import models
from qdrant_client.http.models import QueryResponse

from llmrec_qdrant import QdrantUnavailable, SpaceConfig
from llmrec_qdrant.errors import LlmrecError, NotFound
from llmrec_qdrant.operations import recommend, search, shelves, similar, top
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.calls import delete, query, retrieve
from llmrec_qdrant.operations.remember import Memory, remembered
from llmrec_qdrant.operations.steps import Call, Send, Steps, Together
from llmrec_qdrant.query import requests
from llmrec_qdrant.query.options import ListOptions
from llmrec_qdrant.space.conditions import NEVER
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Space

LEGS = ["dense", "tfidf", "collab"]
INTEREST = {"topic": "7", "label": "space", "weight": 1.0, "last_at": "2026-01-01T00:00:00+00:00"}


def head(**changes: Any) -> dict[str, Any]:
    bookkeeping = {"legs": LEGS, "seen": ["tt9"], "stale": False}
    return {"terms": ["space"], "interests": [INTEREST], "steer": {}, "bookkeeping": bookkeeping, **changes}


class FakeQdrant:
    """Answers calls: one payload for every point that is read, and one item for every query."""

    def __init__(self) -> None:
        self.trips: list[list[str]] = []
        self.sent: list[Any] = []
        self.payload: dict[str, Any] | None = head()
        self.failing: dict[str, LlmrecError] = {}

    def run(self, steps: Steps[Any]) -> Any:
        """Run an operation, and note the methods of each round trip."""
        answer: Any = None
        try:
            while True:
                effect = steps.throw(answer) if isinstance(answer, LlmrecError) else steps.send(answer)
                assert not isinstance(effect, Send)
                calls = effect.calls if isinstance(effect, Together) else (effect,)
                self.trips.append([call.method for call in calls])
                answers = [self.answer(call) for call in calls]
                answer = answers if isinstance(effect, Together) else answers[0]
        except StopIteration as end:
            return end.value

    def answer(self, call: Call) -> Any:
        if call.method in self.failing:
            return self.failing[call.method]
        if call.method == "retrieve":
            topic = {"topic_id": "7", "label": "space"} if "topic" in call.arguments["collection_name"] else {}
            ids = call.arguments["ids"] if self.payload is not None else []
            return [models.Record(id=point, payload={**(self.payload or {}), **topic}) for point in ids]
        if call.method == "query_batch_points":
            self.sent += [requests.as_json(request) for request in call.arguments["requests"]]
            scored = models.ScoredPoint(id="1", version=0, score=0.5, payload={"item_id": "tt3"})
            return [QueryResponse(points=[scored]) for _ in call.arguments["requests"]]
        return None


def bound(tenant: str | None = None) -> Bound:
    return Bound(Space("movies"), SpaceConfig(), tenant, Memory())


OPTIONS = ListOptions(limit=3)
LISTS: dict[str, tuple[Callable[[Bound], Steps[Any]], int, int]] = {
    "recommend": (lambda bound: recommend.recommend(bound, "ann", OPTIONS, True), 2, 1),
    "recommend, explained": (lambda bound: recommend.recommend(bound, "ann", ListOptions(3, explain=True), True), 2, 1),
    "recommend_from": (lambda bound: similar.recommend_from(bound, ["tt1"], ["tt2"], OPTIONS), 2, 1),
    "similar_items": (lambda bound: similar.similar_items(bound, "tt1", OPTIONS), 2, 1),
    "similar_users": (lambda bound: similar.similar_users(bound, "ann", 3), 2, 1),
    "search": (lambda bound: search.search(bound, "time travel", None, OPTIONS), 2, 1),
    "search for a user": (lambda bound: search.search(bound, "time travel", "ann", OPTIONS), 3, 1),
    "shelves": (lambda bound: shelves.shelves(bound, "ann", 3, ListOptions(3), True), 5, 2),
    "top": (lambda bound: top.top(bound, "popularity", OPTIONS), 1, 1),
}
"""Operation, round trips of the first request, round trips of later ones."""


@pytest.mark.parametrize("name", LISTS)
def test_round_trips_of_every_list(name: str) -> None:
    operation, first, later = LISTS[name]
    qdrant, mine = FakeQdrant(), bound()
    answers, trips = [], []
    for _ in range(3):
        before = len(qdrant.trips)
        answers.append(qdrant.run(operation(mine)))
        trips.append(len(qdrant.trips) - before)
    assert trips == [first, later, later]
    assert answers[0] == answers[1] == answers[2] and answers[0]


@pytest.mark.parametrize("name", LISTS)
def test_without_a_memory_one_call_follows_the_other(name: str) -> None:
    operation, first, _ = LISTS[name]
    qdrant = FakeQdrant()
    for count in (1, 2):
        qdrant.run(operation(Bound(Space("movies"), SpaceConfig())))
        assert [len(trip) for trip in qdrant.trips] == [1] * first * count


def test_what_changed_since_is_in_the_next_list() -> None:
    qdrant, mine = FakeQdrant(), bound()
    qdrant.run(recommend.recommend(mine, "ann", OPTIONS, True))
    bookkeeping = {"legs": LEGS, "seen": ["tt9", "tt4"]}
    qdrant.payload = head(steer={"7": 0.0}, bookkeeping=bookkeeping)  # another process wrote it
    qdrant.trips.clear()
    qdrant.run(recommend.recommend(mine, "ann", OPTIONS, True))
    assert qdrant.trips == [["query_batch_points", "retrieve"], ["query_batch_points"]]
    last = str(qdrant.sent[-1]["filter"])
    assert point_id("item", "tt4") in last and "topic_ids" in last
    assert point_id("item", "tt4") not in str(qdrant.sent[-2])


def test_a_user_who_was_forgotten_gets_the_popular_items() -> None:
    """The query on what is remembered fails then, since the user's vectors are gone: that error does not count."""
    qdrant, mine = FakeQdrant(), bound()
    qdrant.run(recommend.recommend(mine, "ann", OPTIONS, True))
    qdrant.payload = None
    attempts: list[Any] = []

    def answer(call: Call) -> Any:
        if call.method == "query_batch_points":
            attempts.append(call)
            if len(attempts) == 1:
                return NotFound("no point")
        return FakeQdrant.answer(qdrant, call)

    qdrant.answer = answer  # type: ignore[method-assign]
    listed = qdrant.run(recommend.recommend(mine, "ann", OPTIONS, True))
    assert [one.reason for one in listed] == ["popular: there are no events of 'ann' yet"]


@pytest.mark.parametrize("method", ["retrieve", "query_batch_points"])
def test_errors_of_either_call_are_raised(method: str) -> None:
    qdrant, mine = FakeQdrant(), bound()
    for _ in range(2):  # without a memory of the user, and with one
        qdrant.failing = {method: QdrantUnavailable("down")}
        with pytest.raises(QdrantUnavailable, match="down"):
            qdrant.run(recommend.recommend(mine, "ann", OPTIONS, True))
        qdrant.failing = {}
        assert qdrant.run(recommend.recommend(mine, "ann", OPTIONS, True))


def test_an_item_loaded_since_is_no_longer_unknown() -> None:
    qdrant, mine = FakeQdrant(), bound()
    qdrant.payload = None
    for _ in range(2):
        with pytest.raises(NotFound):
            qdrant.run(similar.similar_items(mine, "tt1", OPTIONS))
    qdrant.payload = head()
    assert qdrant.run(similar.similar_items(mine, "tt1", OPTIONS))
    qdrant.payload = None
    with pytest.raises(NotFound):
        qdrant.run(similar.similar_items(mine, "tt1", OPTIONS))


def test_nothing_is_written_on_an_assumption() -> None:
    def operation() -> Steps[str]:
        points = yield from retrieve("c", ["1"], ["terms"], remember=True)
        yield from delete("c", NEVER)
        return str(points[0].payload["terms"])

    qdrant, memory = FakeQdrant(), Memory()
    qdrant.run(remembered(memory, operation))
    qdrant.trips.clear()
    assert qdrant.run(remembered(memory, operation)) == "['space']"
    assert qdrant.trips == [["retrieve"], ["delete"]]
    qdrant.payload = head(terms=["sea"])
    qdrant.trips.clear()
    assert qdrant.run(remembered(memory, operation)) == "['sea']"
    assert qdrant.trips == [["retrieve"], ["delete"]]


def test_reads_that_follow_from_one_another_are_verified_together() -> None:
    def operation() -> Steps[Any]:
        first = yield from retrieve("a", ["1"], ["terms"], remember=True)
        yield from retrieve("b", list(first[0].payload["terms"]), ["terms"], remember=True)
        return (yield from query("c", [requests.top(None, 1)]))

    qdrant, memory = FakeQdrant(), Memory()
    for _ in range(2):
        assert qdrant.run(remembered(memory, operation))
    assert [len(trip) for trip in qdrant.trips] == [1, 1, 1, 3]
    qdrant.payload = head(terms=["2", "3"])
    qdrant.trips.clear()
    assert qdrant.run(remembered(memory, operation))
    assert [len(trip) for trip in qdrant.trips] == [3, 1, 1]


def test_tenants_do_not_share_what_is_remembered() -> None:
    qdrant, memory = FakeQdrant(), Memory()
    for tenant in ("red", "blue"):
        qdrant.trips.clear()
        mine = Bound(Space("movies"), SpaceConfig(), tenant, memory)
        qdrant.run(recommend.recommend(mine, "ann", OPTIONS, True))
        assert len(qdrant.trips) == 2


def test_the_memory_is_bounded() -> None:
    memory = Memory(size=2)
    for key in "abac":
        memory.put(key, [models.Record(id=key)])
    assert [memory.get(key) is not None for key in "abc"] == [True, False, True]
    memory.get("a")
    memory.put("d", [])
    assert [memory.get(key) is not None for key in "acd"] == [True, False, True]
