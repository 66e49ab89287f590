"""Points → answers, by hand."""

from __future__ import annotations

import numpy as np
from qdrant_client import models

from llmrec_qdrant import Recommendation, SimilarUser
from llmrec_qdrant.query import results
from llmrec_qdrant.space.points import Point, flat


def test_recommendations_carry_your_own_fields_only() -> None:
    stored = {
        "item_id": "tt1", "title": "Interstellar", "text": "…", "year": 2014, "mine": {"item_id": "kept"},
        "user_id": "kept", "stale": "kept", "topics": ["space"], "topic_ids": ["7"], "terms": ["worm"], "popularity": 3.0,
        "tenant": "acme", "bookkeeping": {"src_hash": "f00", "stale": False, "model": "m", "legs": ["dense"]},
    }  # fmt: skip
    assert results.recommendations([Point("1", flat(stored), score=0.5)], "because") == [
        Recommendation(
            id="tt1", score=0.5, title="Interstellar",
            payload={"year": 2014, "mine": {"item_id": "kept"}, "user_id": "kept", "stale": "kept"}, reason="because", topics=["space"],
        )
    ]  # fmt: skip


def test_a_point_that_was_never_written_by_us_is_still_listed() -> None:
    assert results.recommendations([Point("7", score=1.0), Point("8", {"title": None}, score=0.5)]) == [
        Recommendation(id="7", score=1.0), Recommendation(id="8", score=0.5),
    ]  # fmt: skip


def test_users_carry_their_words() -> None:
    found = [Point("1", {"user_id": "bob", "terms": ["space"], "tenant": ""}, score=0.5), Point("2", score=0.25)]
    assert results.users(found) == [
        SimilarUser(id="bob", score=0.5, terms=["space"]), SimilarUser(id="2", score=0.25),
    ]  # fmt: skip


def test_scores_are_plain_floats() -> None:
    (made,) = results.recommendations([Point.of(models.ScoredPoint(id=1, version=0, score=np.float32(0.5)))])
    assert type(made.score) is float
