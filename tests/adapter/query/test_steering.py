"""Steered requests, by hand."""

from __future__ import annotations

import pytest
from qdrant_client import models

from llmrec_qdrant.query import requests
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.query.steering import steered, unmuted

LEGS = [LegQuery("dense", "p", "users"), LegQuery("tfidf", "p", "users")]


def fused() -> models.QueryRequest:
    return requests.fused(LEGS, weights={"dense": 1, "tfidf": 1}, filter=None, limit=10, depth=50)


@pytest.mark.parametrize(("weight", "times"), [(1.4, 1), (2.0, 1), (3.0, 2), (4.0, 3)])
def test_a_boosted_topic_is_asked_for_again(weight: float, times: int) -> None:
    made = steered(fused(), LEGS, {"7": weight}, 50)
    assert isinstance(made.prefetch, list)
    extra = made.prefetch[2:]
    assert len(extra) == 2 * times
    assert {one.filter.must[0].match.any[0] for one in extra} == {"7"}  # type: ignore[index,union-attr]
    assert made.query == fused().query


def test_a_lowered_topic_multiplies_the_fused_score() -> None:
    body = requests.as_json(steered(fused(), LEGS, {"7": 0.25, "8": 0.0}, 50))
    condition = {"key": "topic_ids", "match": {"value": "7"}}
    assert body["query"]["formula"] == {"mult": ["$score", {"sum": [1.0, {"mult": [-0.75, condition]}]}]}
    assert [one["query"] for one in body["prefetch"]] == [{"fusion": "dbsf"}]
    assert len(body["prefetch"][0]["prefetch"]) == 2


def test_muted_topics_are_filtered() -> None:
    assert unmuted({"7": 1.0, "8": 2.0}) is None
    assert requests.as_json(unmuted({"7": 0.0, "8": 2.0})) == {
        "must_not": [{"key": "topic_ids", "match": {"any": ["7"]}}]
    }
