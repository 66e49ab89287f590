"""Items like items, users like users, items for examples."""

from __future__ import annotations

import pytest

from llmrec_qdrant import (
    InvalidInput,
    NotFound,
    Recommender,
)
from tests.films import watched


def test_similar_items(rec: Recommender) -> None:
    watched(rec)
    listed = rec.similar_items("m1", 2, explain=True)
    assert {one.id for one in listed} == {"m2", "m3"} and "collab" in listed[0].legs
    assert "m1" not in {one.id for one in rec.similar_items("m1", 8)}


def test_similar_users(rec: Recommender) -> None:
    watched(rec)
    assert rec.similar_users("ann", 2)[0].id == "bob"
    with pytest.raises(NotFound, match="'nobody'"):
        rec.similar_users("nobody")


def test_recommend_from_examples(rec: Recommender) -> None:
    watched(rec)
    assert rec.recommend_from(["m1", "m2"], limit=1)[0].id == "m3"
    assert rec.recommend_from(["m4", "unknown"], ["m1"], limit=2)[0].id in {"m5", "m6"}
    assert not {"m1", "m2", "m4"} & {one.id for one in rec.recommend_from(["m1", "m2"], ["m4"])}
    with pytest.raises(NotFound, match="none of the items"):
        rec.recommend_from(["unknown"])
    with pytest.raises(InvalidInput, match="positive must be a list of ids"):
        rec.recommend_from("m1")
