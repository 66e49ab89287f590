"""Intent → request → result, without a server: requests as literal JSON, results by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qdrant_client import models
from qdrant_client.http.models import QueryResponse

from llmrec_qdrant import InvalidInput, Recommendation, SimilarUser, SpaceConfig
from llmrec_qdrant.contracts.config import LEGS, Leg
from llmrec_qdrant.operations import personal, search, similar
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.lists import Ask
from llmrec_qdrant.operations.steps import Call, Send, Sleep
from llmrec_qdrant.query import requests as query_requests
from llmrec_qdrant.query import rerank, results
from llmrec_qdrant.query import weights as query_weights
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.space.ids import point_id, sparse_index
from llmrec_qdrant.space.layout import ITEM_HEAVY, Space

USER = "ea73d05c-6fbb-54c1-9447-c1d32a5a28e6"
YEAR = models.Filter(must=[models.FieldCondition(key="year", range=models.Range(gte=2000))])
ONES: dict[Leg, float] = {"dense": 1.0, "tfidf": 1.0, "collab": 1.0}


# --- weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"dense": 1, "tfidf": 1, "collab": 1}, {"dense": 1, "tfidf": 1, "collab": 1}),
        ({"dense": 0.5, "tfidf": 0.5, "collab": 1}, {"dense": 1, "tfidf": 1, "collab": 2}),
        ({"dense": 2, "tfidf": 3}, {"dense": 2, "tfidf": 3}),
        ({"dense": 0.2, "tfidf": 0.4, "collab": 0.6}, {"dense": 1, "tfidf": 2, "collab": 3}),
        ({"dense": 7, "tfidf": 0, "collab": 0}, {"dense": 1}),
        ({"dense": 0, "collab": 0.1}, {"collab": 1}),
        ({"dense": 5, "tfidf": 6}, {"dense": 4, "tfidf": 5}),  # 0.8 is within 5 % of 0.83
        ({"dense": 1, "tfidf": 6}, {"dense": 1, "tfidf": 6}),
        ({"dense": 1, "tfidf": 100}, {"dense": 1, "tfidf": 6}),  # the most that six can do
        ({"dense": 0.98, "tfidf": 1}, {"dense": 1, "tfidf": 1}),  # within 5 %
        ({"dense": 0.7, "tfidf": 1}, {"dense": 2, "tfidf": 3}),  # 0.667 is within 5 % of 0.7
        ({"dense": 1e-300, "tfidf": 2e-300}, {"dense": 1, "tfidf": 2}),
        ({"dense": 1e308, "tfidf": 1e308}, {"dense": 1, "tfidf": 1}),
    ],
    ids=str,
)  # fmt: skip
def test_weights_become_the_smallest_whole_numbers(weights: dict[Leg, float], expected: dict[Leg, int]) -> None:
    assert query_weights.multiplicities(weights) == expected


def worst(counts: dict[Any, int], weights: dict[Any, float]) -> float:
    """Relative error of the worst leg, measured against the heaviest leg."""
    heaviest = max(weights, key=lambda leg: weights[leg])
    shares = {leg: weights[leg] / weights[heaviest] for leg in weights}
    return max(abs(counts[leg] / counts[heaviest] - shares[leg]) / shares[leg] for leg in weights)


positive = st.floats(0.001, 1_000)


@given(st.dictionaries(st.sampled_from(LEGS), positive | st.just(0.0)).filter(lambda weights: any(weights.values())))
def test_no_other_whole_numbers_up_to_six_are_closer(weights: dict[Leg, float]) -> None:
    """The oracle tries all of them."""
    wanted = {leg: weight for leg, weight in weights.items() if weight > 0}
    counts = query_weights.multiplicities(weights)
    assert counts.keys() == wanted.keys(), "a zero weight drops its leg, a positive one keeps it"
    assert all(1 <= count <= 6 for count in counts.values())
    every = (dict(zip(wanted, some, strict=True)) for some in itertools.product(range(1, 7), repeat=len(wanted)))
    best = min(worst(some, wanted) for some in every)
    assert worst(counts, wanted) <= max(0.05, best) + 1e-9


@given(st.dictionaries(st.sampled_from(LEGS), st.floats(1, 6), min_size=1))
def test_a_ratio_of_at_most_six_is_met_within_a_third(weights: dict[Leg, float]) -> None:
    assert worst(query_weights.multiplicities(weights), weights) <= 1 / 3 + 1e-9


@given(st.dictionaries(st.sampled_from(LEGS), positive, min_size=1), st.sampled_from([0.25, 2.0, 1024.0]))
def test_only_the_ratio_of_weights_matters(weights: dict[Leg, float], factor: float) -> None:
    scaled = {leg: weight * factor for leg, weight in weights.items()}
    assert query_weights.multiplicities(scaled) == query_weights.multiplicities(weights)


@pytest.mark.parametrize(
    "weights",
    [
        {}, {"dense": 0}, {"dense": -1, "tfidf": 1}, {"dense": math.nan}, {"dense": math.inf}, {"bm25": 1},
        {"dense": "much"}, {"dense": None}, {"dense": [1]}, {"dense": 1j}, {"dense": 10**400}, [1], "dense", 5,
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_weights_that_cannot_be_read_are_refused(weights: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^weights are numbers of zero or more for dense, tfidf, collab, not "):
        query_weights.multiplicities(weights)


# --- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 10, 1_000])
def test_a_limit_is_a_whole_number_from_1_to_1000(limit: int) -> None:
    assert query_requests.check_limit(limit) == limit


@pytest.mark.parametrize("limit", [0, -1, 1_001, 10**30, True, 1.0, "10", None, math.nan, [1]], ids=repr)
def test_any_other_limit_is_refused(limit: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        query_requests.check_limit(limit)
    assert str(caught.value) == f"limit must be a whole number from 1 to 1000, not {limit!r}"


# --- requests ------------------------------------------------------------------------------------


def lookups(*legs: Leg) -> list[LegQuery]:
    return [LegQuery(leg, USER, "movies_users") for leg in legs]


def prefetch(leg: str, limit: int) -> dict[str, Any]:
    return {
        "query": {"nearest": USER},
        "using": leg,
        "lookup_from": {"collection": "movies_users", "vector": leg},
        "filter": {"must": [{"key": "year", "range": {"gte": 2000.0}}]},
        "limit": limit,
    }


def test_the_fused_request_is_this_json() -> None:
    request = query_requests.fused(
        lookups("dense", "tfidf", "collab"), weights={**ONES, "collab": 2.0}, filter=YEAR, limit=10, depth=100
    )
    assert query_requests.as_json(request) == {
        "prefetch": [
            prefetch("dense", 100),
            prefetch("tfidf", 100),
            prefetch("collab", 100),
            prefetch("collab", 100),
        ],
        "query": {"fusion": "dbsf"},
        "limit": 10,
        "with_payload": {"exclude": list(ITEM_HEAVY)},
    }


def test_a_request_without_filter_has_none() -> None:
    request = query_requests.fused(lookups("dense"), weights=ONES, filter=None, limit=1, depth=1)
    (only,) = query_requests.as_json(request)["prefetch"]
    assert "filter" not in only


def test_a_leg_without_weight_is_not_asked() -> None:
    for weights in ({"dense": 1.0, "tfidf": 0.0}, {"dense": 3.0}):
        request = query_requests.fused(lookups("dense", "tfidf"), weights=weights, filter=None, limit=5, depth=50)
        assert [one["using"] for one in query_requests.as_json(request)["prefetch"]] == ["dense"]


def test_weights_count_among_the_legs_that_are_there() -> None:
    """A user without `collab` must not get every other prefetch twice because of its weight."""
    request = query_requests.fused(
        lookups("dense", "tfidf"), weights={**ONES, "collab": 0.5}, filter=None, limit=5, depth=50
    )
    assert [one["using"] for one in query_requests.as_json(request)["prefetch"]] == ["dense", "tfidf"]


@pytest.mark.parametrize(("limit", "depth", "expected"), [(10, 100, 100), (100, 100, 100), (500, 100, 500), (1, 1, 1)])
def test_no_leg_is_asked_for_less_than_the_limit(limit: int, depth: int, expected: int) -> None:
    request = query_requests.as_json(
        query_requests.fused(lookups(*LEGS), weights=ONES, filter=None, limit=limit, depth=depth)
    )
    assert {one["limit"] for one in request["prefetch"]} == {expected}
    assert request["limit"] == limit


def test_vectors_come_back_only_to_be_compared() -> None:
    request = query_requests.fused(lookups("dense"), weights=ONES, filter=None, limit=5, depth=50, with_vector=True)
    assert query_requests.as_json(request)["with_vector"] == ["dense"]


def test_a_vector_may_be_given_itself() -> None:
    given = models.NearestQuery(nearest=models.SparseVector(indices=[3], values=[0.5]))
    request = query_requests.fused([LegQuery("collab", given)], weights=ONES, filter=None, limit=5, depth=50)
    assert query_requests.as_json(request)["prefetch"] == [
        {"query": {"nearest": {"indices": [3], "values": [0.5]}}, "using": "collab", "limit": 50}
    ]


def test_inner_candidates_are_kept_inside() -> None:
    inner = [models.Prefetch(query=models.NearestQuery(nearest=USER), using="tfidf", limit=7)]
    request = query_requests.fused(lookups("dense"), weights=ONES, filter=None, limit=5, depth=50, inner=inner)
    (outer,) = query_requests.as_json(request)["prefetch"]
    assert outer["prefetch"] == [{"query": {"nearest": USER}, "using": "tfidf", "limit": 7}]


def test_a_leg_alone_asks_what_it_asks_in_the_fused_request() -> None:
    alone = query_requests.as_json(query_requests.alone(lookups("dense")[0], filter=YEAR, limit=100))
    assert alone == {**prefetch("dense", 100), "with_payload": False}


def test_the_request_for_popular_items() -> None:
    assert query_requests.as_json(query_requests.top(YEAR, 10)) == {
        "query": {"order_by": {"key": "popularity", "direction": "desc"}},
        "filter": {"must": [{"key": "year", "range": {"gte": 2000.0}}]},
        "limit": 10,
        "with_payload": {"exclude": list(ITEM_HEAVY)},
    }


def test_tenant_filter_and_exclusions_are_one_filter() -> None:
    tenant = {"must": [{"key": "tenant", "match": {"value": "acme"}}]}
    out = {"must_not": [{"has_id": [USER]}]}
    year = {"must": [{"key": "year", "range": {"gte": 2000.0}}]}
    assert query_requests.combined(None, None) is None
    assert query_requests.as_json(query_requests.combined("acme", None)) == tenant
    assert query_requests.as_json(query_requests.combined(None, None, [USER])) == out
    assert query_requests.as_json(query_requests.combined("acme", YEAR, [USER])) == {"must": [tenant, year, out]}


# --- tenancy: in every request, in every prefetch, at any depth ----------------------------------

ACME = {"key": "tenant", "match": {"value": "acme"}}
BOUND = Bound(Space("movies"), SpaceConfig(fields={"year": "integer"}), "acme")


def point(number: int, score: float = 0.0, **more: Any) -> models.ScoredPoint:
    return models.ScoredPoint(id=str(number), version=0, score=score, **more)


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
            legs = {"legs": ["dense", "tfidf", "collab"], "seen": ["tt9"], "terms": ["space"], "stale": False}
            return [models.Record(id=one, payload=legs) for one in effect.arguments["ids"]]
        assert effect.method == "query_batch_points"
        return [QueryResponse(points=[] if self.empty else [point(1)]) for _ in effect.arguments["requests"]]

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [
            query_requests.as_json(request)
            for one in self.calls
            if one.method == "query_batch_points"
            for request in one.arguments["requests"]
        ]


def leaves(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The parts of a request that read the collection itself: each must carry the filter."""
    inner = request.get("prefetch") or []
    for one in inner:
        yield from leaves(one)
    if not inner:
        yield request


def required(filter: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Conditions that must hold, through any nesting of `must`."""
    found: list[dict[str, Any]] = []
    for condition in (filter or {}).get("must") or []:
        found += required(condition) if "key" not in condition else [condition]
    return found


WISH = Ask(limit=3, filter={"year": {"gte": 2000}}, exclude=["tt8"], explain=True)
OPERATIONS: dict[str, Callable[[Ask], Any]] = {
    "recommend": lambda ask: personal.recommend(BOUND, "alice", ask, True),
    "recommend_from": lambda ask: similar.recommend_from(BOUND, ["tt1"], ["tt2"], ask),
    "similar_items": lambda ask: similar.similar_items(BOUND, "tt1", ask),
    "similar_users": lambda ask: similar.similar_users(BOUND, "alice", ask.limit),
    "search": lambda ask: search.search(BOUND, "time travel", None, ask),
    "search for a user": lambda ask: search.search(BOUND, "time travel", "alice", ask),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("diversity", [0.0, 0.5])
def test_every_part_of_every_request_asks_for_the_tenant(name: str, diversity: float) -> None:
    qdrant = FakeQdrant()
    qdrant.run(OPERATIONS[name](Ask(3, WISH.filter, WISH.exclude, diversity, explain=True)))
    parts = [part for request in qdrant.requests for part in leaves(request)]
    assert len(parts) >= 3
    for part in parts:
        assert ACME in required(part["filter"]), part


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - {"similar_users"}))
def test_filter_and_exclusions_are_in_every_part_too(name: str) -> None:
    qdrant = FakeQdrant()
    qdrant.run(OPERATIONS[name](WISH))
    for request in qdrant.requests:
        for part in leaves(request):
            assert {"key": "year", "range": {"gte": 2000.0}} in required(part["filter"])
            assert point_id("item", "tt8", "acme") in str(part["filter"])


@pytest.mark.parametrize("name", OPERATIONS)
def test_points_are_looked_up_under_the_tenants_own_ids(name: str) -> None:
    qdrant = FakeQdrant()
    qdrant.run(OPERATIONS[name](WISH))
    mine = {
        point_id(kind, external, "acme")  # type: ignore[arg-type]
        for kind in ("item", "user", "query") for external in ("alice", "tt1", "tt2", "time travel")
    }  # fmt: skip
    looked_up = [one for call in qdrant.calls if call.method == "retrieve" for one in call.arguments["ids"]]
    assert looked_up
    assert set(looked_up) <= mine


def test_items_in_the_order_of_a_field_are_the_tenants() -> None:
    qdrant = FakeQdrant()
    qdrant.run(personal.top(BOUND, "year", WISH))
    (request,) = qdrant.requests
    assert request["query"] == {"order_by": {"key": "year", "direction": "desc"}}
    assert ACME in required(request["filter"]) and point_id("item", "tt8", "acme") in str(request["filter"])


@pytest.mark.parametrize("by", ["lang", "tenant", "no such", 7])
def test_items_have_no_order_by_words(by: Any) -> None:
    with pytest.raises(InvalidInput, match=r"ordered by one of \['popularity'.*'year'"):
        FakeQdrant().run(personal.top(BOUND, by, WISH))


def test_popular_items_are_the_tenants() -> None:
    qdrant = FakeQdrant(empty=True)
    assert qdrant.run(personal.recommend(BOUND, "alice", WISH, True)) == []
    (request,) = qdrant.requests
    assert request["query"] == {"order_by": {"key": "popularity", "direction": "desc"}}
    assert ACME in required(request["filter"])


def test_the_collab_leg_of_a_session_has_the_tenants_indices() -> None:
    qdrant = FakeQdrant()
    qdrant.run(similar.recommend_from(BOUND, ["tt1", "tt1"], ["tt2", "tt1"], Ask(3)))
    collab, _ = [one for one in qdrant.requests[0]["prefetch"] if one["using"] == "collab"]
    assert collab["query"] == {
        "nearest": {"indices": [sparse_index("tt1", "acme"), sparse_index("tt2", "acme")], "values": [1.0, -1.0]}
    }


# --- diversity -----------------------------------------------------------------------------------


def at(number: int, score: float, *vector: float) -> models.ScoredPoint:
    return point(number, score, vector={"dense": list(vector)} if vector else None)


def picked(points: list[models.ScoredPoint], diversity: float, limit: int = 10) -> list[str]:
    return [str(one.id) for one in rerank.diversify(points, diversity, limit)]


# Relevance 1, 0.8, 0.5, 0; directions 0°, 0°, 90°, 45°.
FOUR = [at(1, 10, 1, 0), at(2, 8, 2, 0), at(3, 5, 0, 1), at(4, 0, 3, 3)]


def test_no_diversity_keeps_the_order() -> None:
    assert picked(FOUR, 0.0) == ["1", "2", "3", "4"]


def test_full_diversity_takes_the_farthest() -> None:
    """First 1 (all gains are 0); then 3 (cosine 0 to 1); then 4 (0.71 to both) before 2 (1 to 1)."""
    assert picked(FOUR, 1.0) == ["1", "3", "4", "2"]


def test_half_diversity_by_hand() -> None:
    """Gains: 1 first (0.5). Then 2: .4-.5=-.1, 3: .25-0=.25, 4: 0-.35=-.35, so 3. Then 2 (-.1), 4 (-.35)."""
    assert picked(FOUR, 0.5) == ["1", "3", "2", "4"]


def test_little_diversity_by_hand() -> None:
    """Gains at 0.2 after 1 — 2: .64-.2=.44, 3: .4-0=.4 — so the order stays; at 0.3 — .56-.3=.26, .35 — it turns."""
    assert picked(FOUR, 0.2)[:3] == ["1", "2", "3"]
    assert picked(FOUR, 0.3)[:3] == ["1", "3", "2"]


def test_a_limit_cuts_the_picks() -> None:
    assert picked(FOUR, 1.0, limit=2) == ["1", "3"]
    assert picked(FOUR, 0.0, limit=1) == ["1"]


def test_points_without_a_vector_resemble_nothing() -> None:
    """2 has no dense vector, 3 a zero one: both have similarity 0, 4 has 1."""
    points = [at(1, 3, 1, 0), at(2, 2), at(3, 1, 0, 0), at(4, 2.5, 1, 0)]
    assert picked(points, 1.0) == ["1", "2", "3", "4"]
    assert picked([at(1, 2), at(2, 1)], 0.7) == ["1", "2"]


def test_equal_scores_are_equally_relevant() -> None:
    assert picked([at(1, 5, 1, 0), at(2, 5, 1, 0), at(3, 5, 0, 1)], 0.5) == ["1", "3", "2"]


def test_nothing_to_diversify() -> None:
    assert rerank.diversify([], 0.5, 10) == []


def test_points_come_back_as_they_were() -> None:
    assert all(one is FOUR[int(one.id) - 1] for one in rerank.diversify(FOUR, 0.5, 10))


vectors = st.lists(st.floats(-1, 1), min_size=2, max_size=2)


@given(st.lists(st.tuples(st.floats(-10, 10), vectors), max_size=8), st.floats(0, 1), st.integers(1, 10))
def test_diversify_picks_each_point_once_up_to_the_limit(
    given: list[tuple[float, list[float]]], diversity: float, limit: int
) -> None:
    ranked = sorted(given, key=lambda one: -one[0])
    points = [at(number, score, *vector) for number, (score, vector) in enumerate(ranked)]
    chosen = picked(points, diversity, limit)
    assert len(chosen) == len(set(chosen)) == min(limit, len(points))
    assert not chosen or ranked[int(chosen[0])][0] == ranked[0][0] or diversity == 1.0
    if diversity == 0.0:
        assert [ranked[int(one)][0] for one in chosen] == [score for score, _ in ranked[:limit]]


# --- results -------------------------------------------------------------------------------------


def test_recommendations_carry_your_own_fields_only() -> None:
    stored = {
        "item_id": "tt1", "tenant": "acme", "title": "Interstellar", "text": "…", "topics": ["space"],
        "terms": ["worm"],
        "popularity": 3.0, "src_hash": "f00", "stale": False, "model": "m", "legs": ["dense"],
        "embedded_at": "2023-11-14T22:13:20Z", "year": 2014, "mine": {"item_id": "kept"}, "user_id": "kept",
    }  # fmt: skip
    assert results.recommendations([point(1, 0.5, payload=stored)], "because") == [
        Recommendation(
            id="tt1", score=0.5, title="Interstellar",
            payload={"year": 2014, "mine": {"item_id": "kept"}, "user_id": "kept"}, reason="because", topics=["space"],
        )
    ]  # fmt: skip


def test_a_point_that_was_never_written_by_us_is_still_listed() -> None:
    assert results.recommendations([point(7, 1.0, payload=None), point(8, 0.5, payload={"title": None})]) == [
        Recommendation(id="7", score=1.0), Recommendation(id="8", score=0.5),
    ]  # fmt: skip


def test_users_carry_their_words() -> None:
    found = [point(1, 0.5, payload={"user_id": "bob", "terms": ["space"], "tenant": ""}), point(2, 0.25, payload=None)]
    assert results.users(found) == [
        SimilarUser(id="bob", score=0.5, terms=["space"]), SimilarUser(id="2", score=0.25),
    ]  # fmt: skip


def test_leg_scores_name_the_legs_that_proposed_a_point() -> None:
    answers: dict[Leg, list[models.ScoredPoint]] = {
        "dense": [point(1, 0.9), point(2, 0.8)], "tfidf": [point(2, 3.5)], "collab": [],
    }  # fmt: skip
    assert results.leg_scores(answers, "2") == {"dense": 0.8, "tfidf": 3.5}
    assert results.leg_scores(answers, "1") == {"dense": 0.9}
    assert results.leg_scores(answers, "3") == {}


def test_scores_are_plain_floats() -> None:
    (made,) = results.recommendations([point(1, np.float32(0.5).item())])
    assert type(made.score) is float
