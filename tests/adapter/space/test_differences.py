"""What differs between two stored points."""

from __future__ import annotations

import math
from typing import Any

import pytest
from qdrant_client import models

from llmrec_qdrant.space.differences import difference


def point(payload: dict[str, Any] | None = None, **vectors: Any) -> models.PointStruct:
    return models.PointStruct(id=1, vector=vectors, payload=payload or {})


@pytest.mark.parametrize(
    ("some", "other", "key"),
    [
        ({"a": 1}, {"a": 1.0}, "a"), ({"a": 1}, {"a": True}, "a"), ({"a": None}, {}, "a"), ({}, {"b": 0}, "b"),
        ({"a": 1, "b": [1, {"c": 2}]}, {"a": 1, "b": [1, {"c": 3}]}, "b"), ({"a": [1]}, {"a": [1, 1]}, "a"),
        ({"a": 1.0}, {"a": 1.0 + 1e-12}, "a"), ({"a": {"b": 1}}, {"a": {"c": 1}}, "a"),
    ],
)  # fmt: skip
def test_payloads_that_differ(some: dict[str, Any], other: dict[str, Any], key: str) -> None:
    assert difference(point(some), point(other)) == difference(point(other), point(some)) == f"payload {key!r} differs"


def test_the_order_of_keys_and_the_last_digit_of_a_float_are_no_difference() -> None:
    assert difference(point({"a": 1, "b": {"c": 0.1}}), point({"b": {"c": math.nextafter(0.1, 1)}, "a": 1})) == ""


def test_vectors_are_compared_as_float32() -> None:
    words = models.SparseVector(indices=[7, 2], values=[0.1, 0.5])
    same = models.SparseVector(indices=[2, 7], values=[0.5, 0.10000000149011612])
    assert difference(point(dense=[0.1], words=words), point(dense=[0.10000000149011612], words=same)) == ""
    other = models.SparseVector(indices=[2, 7], values=[0.5, 0.1001])
    assert difference(point(words=words), point(words=other)) == "vector 'words' differs"
    assert difference(point(dense=[0.1]), point(dense=[0.1000001])) == "vector 'dense' differs"
    assert (
        difference(point(dense=[0.1]), point()) == difference(point(), point(dense=[0.1])) == "vector 'dense' differs"
    )
    assert difference(point(many=[[1.0, 2.0]]), point(many=[[1.0, 2.0], [1.0, 2.0]])) == "vector 'many' differs"
