"""Requests as literal JSON."""

from __future__ import annotations

from typing import Any

import pytest
from qdrant_client import models

from llmrec_qdrant.contracts.config import LEGS, Leg
from llmrec_qdrant.query import requests
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.space.layout import ITEM_HEAVY

USER = "ea73d05c-6fbb-54c1-9447-c1d32a5a28e6"
YEAR = models.Filter(must=[models.FieldCondition(key="year", range=models.Range(gte=2000))])
ONES: dict[Leg, float] = {"dense": 1.0, "tfidf": 1.0, "collab": 1.0}


def lookups(*legs: Leg) -> list[LegQuery]:
    return [LegQuery(leg, USER, "movies_users") for leg in legs]


def prefetch(leg: str, limit: int) -> dict[str, Any]:
    return {
        "query": {"nearest": USER},
        "using": leg,
        "lookup_from": {"collection": "movies_users", "vector": leg},
        "limit": limit,
    }


def test_the_fused_request_is_this_json() -> None:
    request = requests.fused(
        lookups("dense", "tfidf", "collab"), weights={**ONES, "collab": 2.0}, filter=YEAR, limit=10, depth=100
    )
    assert requests.as_json(request) == {
        "prefetch": [
            prefetch("dense", 100),
            prefetch("tfidf", 100),
            prefetch("collab", 100),
            prefetch("collab", 100),
        ],
        "query": {"fusion": "dbsf"},
        "filter": {"must": [{"key": "year", "range": {"gte": 2000.0}}]},
        "limit": 10,
        "with_payload": {"exclude": list(ITEM_HEAVY)},
    }


def test_a_request_without_filter_has_none() -> None:
    request = requests.fused(lookups("dense"), weights=ONES, filter=None, limit=1, depth=1)
    body = requests.as_json(request)
    assert "filter" not in body and "filter" not in body["prefetch"][0]


def test_a_leg_without_weight_is_not_asked() -> None:
    for weights in ({"dense": 1.0, "tfidf": 0.0}, {"dense": 3.0}):
        request = requests.fused(lookups("dense", "tfidf"), weights=weights, filter=None, limit=5, depth=50)
        assert [one["using"] for one in requests.as_json(request)["prefetch"]] == ["dense"]


def test_weights_count_among_the_legs_that_are_there() -> None:
    """A user without `collab` must not get every other prefetch twice because of its weight."""
    request = requests.fused(lookups("dense", "tfidf"), weights={**ONES, "collab": 0.5}, filter=None, limit=5, depth=50)
    assert [one["using"] for one in requests.as_json(request)["prefetch"]] == ["dense", "tfidf"]


@pytest.mark.parametrize(("limit", "depth"), [(10, 100), (100, 100), (500, 100), (1, 1)])
def test_the_limit_of_the_list_changes_no_leg(limit: int, depth: int) -> None:
    """DBSF normalizes over the candidates: with more of them, the list would begin differently."""
    request = requests.as_json(requests.fused(lookups(*LEGS), weights=ONES, filter=None, limit=limit, depth=depth))
    assert {one["limit"] for one in request["prefetch"]} == {depth}
    assert request["limit"] == limit


def test_vectors_come_back_only_to_be_compared() -> None:
    request = requests.fused(lookups("dense"), weights=ONES, filter=None, limit=5, depth=50, with_vector=True)
    assert requests.as_json(request)["with_vector"] == ["dense"]


def test_a_vector_may_be_given_itself() -> None:
    given = models.NearestQuery(nearest=models.SparseVector(indices=[3], values=[0.5]))
    request = requests.fused([LegQuery("collab", given)], weights=ONES, filter=None, limit=5, depth=50)
    assert requests.as_json(request)["prefetch"] == [
        {"query": {"nearest": {"indices": [3], "values": [0.5]}}, "using": "collab", "limit": 50}
    ]


def test_inner_candidates_are_kept_inside() -> None:
    inner = [models.Prefetch(query=models.NearestQuery(nearest=USER), using="tfidf", limit=7)]
    request = requests.fused(lookups("dense"), weights=ONES, filter=None, limit=5, depth=50, inner=inner)
    (outer,) = requests.as_json(request)["prefetch"]
    assert outer["prefetch"] == [{"query": {"nearest": USER}, "using": "tfidf", "limit": 7}]


def test_the_request_for_popular_items() -> None:
    assert requests.as_json(requests.top(YEAR, 10)) == {
        "query": {"order_by": {"key": "popularity", "direction": "desc"}},
        "filter": {"must": [{"key": "year", "range": {"gte": 2000.0}}]},
        "limit": 10,
        "with_payload": {"exclude": list(ITEM_HEAVY)},
    }


def test_tenant_filter_and_exclusions_are_one_filter() -> None:
    tenant = {"must": [{"key": "tenant", "match": {"value": "acme"}}]}
    out = {"must_not": [{"has_id": [USER]}]}
    year = {"must": [{"key": "year", "range": {"gte": 2000.0}}]}
    assert requests.combined(None, None) is None
    assert requests.as_json(requests.combined("acme", None)) == tenant
    assert requests.as_json(requests.combined(None, None, [USER])) == out
    assert requests.as_json(requests.combined("acme", YEAR, [USER])) == {"must": [tenant, year, out]}
