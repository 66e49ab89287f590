"""A fused score taken apart: by hand, with distribution-based score fusion."""

from __future__ import annotations

import pytest
from qdrant_client import models

from llmrec_qdrant.query import requests
from llmrec_qdrant.query.dbsf import parts_of, terms_of
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.space.points import Point

USER = "ea73d05c-6fbb-54c1-9447-c1d32a5a28e6"
YEAR = models.Filter(must=[models.FieldCondition(key="year", range=models.Range(gte=2000))])
LEGS = [LegQuery(leg, USER, "movies_users") for leg in ("dense", "collab")]
FUSED = requests.fused(LEGS, weights={"dense": 1.0, "collab": 2.0}, filter=YEAR, limit=10, depth=100)


def test_repeated_prefetches_are_one_part() -> None:
    assert [(part.leg, part.times, part.kind) for part in parts_of(FUSED)] == [
        ("dense", 1, "leg"),
        ("collab", 2, "leg"),
    ]


def test_a_part_alone_asks_what_it_asks_in_the_fused_request() -> None:
    assert requests.as_json(parts_of(FUSED)[0].alone(YEAR)) == {
        "query": {"nearest": USER},
        "using": "dense",
        "lookup_from": {"collection": "movies_users", "vector": "dense"},
        "limit": 100,
        "filter": {"must": [{"key": "year", "range": {"gte": 2000.0}}]},
        "with_payload": False,
    }


def test_each_part_adds_its_normalised_score_as_often_as_it_is_repeated() -> None:
    """Dense: scores 3, 2, 1, so mean 2 and sample deviation 1: 2/3, 1/2, 1/3. Collab: 4 and 0, deviation √8: ½ ± 2 / 6√8, twice."""
    dense = [Point("a", score=3.0), Point("b", score=2.0), Point("c", score=1.0)]
    collab = [Point("b", score=4.0), Point("d", score=0.0)]
    terms = terms_of(parts_of(FUSED), [dense, collab], {"a", "b", "d"})
    assert {point: [round(term.contribution, 6) for term in found] for point, found in terms.items()} == {
        "a": [round(2 / 3, 6)],
        "b": [0.5, round(2 * (0.5 + 2 / (6 * 8**0.5)), 6)],
        "d": [round(2 * (0.5 - 2 / (6 * 8**0.5)), 6)],
    }
    second = terms["b"][1]
    assert (second.rank, second.candidates, second.score) == (1, 2, 4.0)
    assert sum(term.contribution for term in terms["b"]) == pytest.approx(1.735702, abs=1e-6)
