"""Tenancy: in every request, whose filter Qdrant applies at any depth (test_filters_at_the_root.py); and tenants beside each other on one space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from qdrant_client import models
from qdrant_client.http.models import QueryResponse

from llmrec_qdrant import (
    Event,
    FieldWarning,
    InvalidInput,
    Item,
    PartlyRejected,
    Recommender,
    SpaceConfig,
)
from llmrec_qdrant.operations import recommend, search, similar, top
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.steps import Call, Send, Sleep
from llmrec_qdrant.query import requests
from llmrec_qdrant.query.options import ListOptions
from llmrec_qdrant.space.ids import point_id, sparse_index
from llmrec_qdrant.space.layout import Space
from tests.films import CONFIG, T0, connect, history, items
from tests.spaces import drop

ACME = {"key": "tenant", "match": {"value": "acme"}}
BOUND = Bound(Space("movies"), SpaceConfig(fields={"year": "integer"}), "acme")


class FakeQdrant:
    """Answers an operation's calls from nothing, and keeps them."""

    def __init__(self, *, empty: bool = False) -> None:
        self.calls: list[Call] = []
        self.empty = empty

    def run(self, steps: Any) -> Any:
        answer = None
        try:
            while True:
                effect = steps.send(answer)
                assert not isinstance(effect, Sleep)
                answer = None if isinstance(effect, Send) else self.answer(effect)
        except StopIteration as stop:
            return stop.value

    def answer(self, effect: Call) -> Any:
        self.calls.append(effect)
        if effect.method == "retrieve":
            if self.empty:
                return []
            bookkeeping = {"legs": ["dense", "tfidf", "collab"], "seen": ["tt9"], "stale": False}
            payload = {"terms": ["space"], "bookkeeping": bookkeeping}
            return [models.Record(id=one, payload=payload) for one in effect.arguments["ids"]]
        if effect.method == "scroll" and self.empty:  # whether any item has the field of the filter
            return [], None
        assert effect.method == "query_batch_points"
        scored = models.ScoredPoint(id="1", version=0, score=0.0)
        return [QueryResponse(points=[] if self.empty else [scored]) for _ in effect.arguments["requests"]]

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [
            requests.as_json(request)
            for one in self.calls
            if one.method == "query_batch_points"
            for request in one.arguments["requests"]
        ]


def required(filter: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Conditions that must hold, through any nesting of `must`."""
    found: list[dict[str, Any]] = []
    for condition in (filter or {}).get("must") or []:
        found += required(condition) if "key" not in condition else [condition]
    return found


OPTIONS = ListOptions(limit=3, filter={"year": {"gte": 2000}}, exclude=["tt8"], explain=True)
OPERATIONS: dict[str, Callable[[ListOptions], Any]] = {
    "recommend": lambda options: recommend.recommend(BOUND, "alice", options, True),
    "recommend_many": lambda options: recommend.recommend_many(BOUND, ["alice", "alice"], options, True),
    "recommend_from": lambda options: similar.recommend_from(BOUND, ["tt1"], ["tt2"], options),
    "similar_items": lambda options: similar.similar_items(BOUND, "tt1", options),
    "similar_users": lambda options: similar.similar_users(BOUND, "alice", options.limit),
    "search": lambda options: search.search(BOUND, "time travel", None, options),
    "search for a user": lambda options: search.search(BOUND, "time travel", "alice", options),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("diversity", [0.0, 0.5])
def test_every_request_asks_for_the_tenant(name: str, diversity: float) -> None:
    qdrant = FakeQdrant()
    qdrant.run(OPERATIONS[name](ListOptions(3, OPTIONS.filter, OPTIONS.exclude, diversity, explain=True)))
    assert len(qdrant.requests) >= 1
    for request in qdrant.requests:
        assert ACME in required(request["filter"]), request


def evidence(request: dict[str, Any]) -> bool:
    """Whether a request asks about points that are known, the listed ones or those behind them, and looks for no others."""
    return any("has_id" in condition for condition in request["filter"]["must"])


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - {"similar_users"}))
def test_filter_and_exclusions_are_in_every_request_too(name: str) -> None:
    qdrant = FakeQdrant()
    qdrant.run(OPERATIONS[name](OPTIONS))
    found = [request for request in qdrant.requests if not evidence(request)]
    assert found
    for request in found:
        assert {"key": "year", "range": {"gte": 2000.0}} in required(request["filter"])
        assert point_id("item", "tt8", "acme") in str(request["filter"])


@pytest.mark.parametrize("name", OPERATIONS)
def test_points_are_looked_up_under_the_tenants_own_ids(name: str) -> None:
    qdrant = FakeQdrant()
    qdrant.run(OPERATIONS[name](OPTIONS))
    mine = {
        point_id(kind, external, "acme")  # type: ignore[arg-type]
        for kind in ("item", "user", "query") for external in ("alice", "tt1", "tt2", "time travel")
    } | {point_id("search", "alice\x1ftime travel", "acme")}  # fmt: skip
    looked_up = [one for call in qdrant.calls if call.method == "retrieve" for one in call.arguments["ids"]]
    assert looked_up
    assert set(looked_up) <= mine


def test_items_in_the_order_of_a_field_are_the_tenants() -> None:
    qdrant = FakeQdrant()
    qdrant.run(top.top(BOUND, "year", OPTIONS))
    (request,) = qdrant.requests
    assert request["query"] == {"order_by": {"key": "year", "direction": "desc"}}
    assert ACME in required(request["filter"]) and point_id("item", "tt8", "acme") in str(request["filter"])


@pytest.mark.parametrize("by", ["lang", "tenant", "no such", 7])
def test_items_have_no_order_by_words(by: Any) -> None:
    with pytest.raises(InvalidInput, match="can be ordered by popularity, year, not by "):
        FakeQdrant().run(top.top(BOUND, by, OPTIONS))


def test_popular_items_are_the_tenants() -> None:
    qdrant = FakeQdrant(empty=True)
    with pytest.warns(FieldWarning, match="has a value in 'year'"):
        assert qdrant.run(recommend.recommend(BOUND, "alice", OPTIONS, True)) == []
    assert ACME in required(qdrant.calls[-1].arguments["scroll_filter"].model_dump(exclude_none=True))
    (request,) = qdrant.requests
    assert request["query"] == {"order_by": {"key": "popularity", "direction": "desc"}}
    assert ACME in required(request["filter"])


def test_the_collab_leg_of_a_session_has_the_tenants_indices() -> None:
    qdrant = FakeQdrant()
    qdrant.run(similar.recommend_from(BOUND, ["tt1", "tt1"], ["tt2", "tt1"], ListOptions(3)))
    (fused,) = qdrant.requests[0]["prefetch"]
    collab, _ = [one for one in fused["prefetch"] if one["using"] == "collab"]
    assert collab["query"] == {"nearest": {"indices": [sparse_index("tt1", "acme")], "values": [1.0]}}


def test_tenants_do_not_see_each_other(where: dict[str, str]) -> None:
    plain = connect(where)
    plain.create(CONFIG)
    red = Recommender(plain._client, plain._queue, plain._space.name, tenant="red")
    blue = Recommender(plain._client, plain._queue, plain._space.name, tenant="blue")
    red.upsert_items(items()[:3])
    blue.upsert_items([one.model_copy(update={"title": "blue"}) for one in items()[:6]])
    for one in (red, blue):
        one.track(
            [
                *history("ann", "m1", "m2"),
                *history("bob", "m1", "m3"),
                Event(user="ann", type="search", text="space", ts=T0),
            ]
        )
        one.reconcile()
    assert {one.title for one in red.recommend("ann", exclude_seen=False)} == {"Interstellar", "The Martian", "Gravity"}
    assert {one.title for one in blue.recommend("ann", exclude_seen=False)} == {"blue"}
    assert {one.title for one in blue.search("planet")} == {"blue"}
    assert {one.title for one in red.recommend("nobody")} == {"Interstellar", "The Martian", "Gravity"}
    assert len(red.similar_items("m1")) == 2 and len(red.recommend_from(["m1"])) == 2
    assert [one.id for one in red.similar_users("ann")] == ["bob"]
    assert (red.status().items, blue.status().items, red.status().events) == (3, 6, 5)
    with pytest.raises(PartlyRejected, match="'blue' is not 'red', the tenant"):
        red.upsert_items([Item(id="x", title="x", tenant="blue")])
    assert blue.delete_items(["m1"]) == 1 and red.status().items == 3
    assert red.forget_user("ann") == 3 and blue.status().events == 5
    drop(plain)


def test_every_request_of_a_bound_recommender_carries_the_tenant(where: dict[str, str]) -> None:
    plain = connect(where)
    plain.create(CONFIG)
    rec = Recommender(plain._client, plain._queue, plain._space.name, tenant="red")
    assert rec.create(CONFIG) == CONFIG  # as an application does when it starts
    rec.upsert_items(items())
    rec.track(history("ann", "m1"))
    body = rec.request("ann", filter={"year": 2014})
    wanted = {"key": "tenant", "match": {"value": "red"}}
    assert body["prefetch"] and wanted in json_conditions(body["filter"])
    drop(plain)


def json_conditions(node: Any) -> list[Any]:
    """All conditions that must hold in a JSON filter."""
    found: list[Any] = []
    for one in node.get("must", []):
        found += [one, *json_conditions(one)] if isinstance(one, dict) else []
    return found
