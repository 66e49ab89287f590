"""Points → answers, by hand."""

from __future__ import annotations

import numpy as np
from qdrant_client import models

from llmrec_qdrant import Recommendation, SimilarUser
from llmrec_qdrant.contracts.config import Leg
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


def test_leg_scores_name_the_legs_that_proposed_a_point() -> None:
    answers: dict[Leg, list[Point]] = {
        "dense": [Point("1", score=0.9), Point("2", score=0.8)], "tfidf": [Point("2", score=3.5)], "collab": [],
    }  # fmt: skip
    assert results.leg_scores(answers, "2") == {"dense": 0.8, "tfidf": 3.5}
    assert results.leg_scores(answers, "1") == {"dense": 0.9}
    assert results.leg_scores(answers, "3") == {}


def test_scores_are_plain_floats() -> None:
    (made,) = results.recommendations([Point.of(models.ScoredPoint(id=1, version=0, score=np.float32(0.5)))])
    assert type(made.score) is float


def test_an_unrelated_item_is_not_called_close_in_meaning() -> None:
    point = Point("1", {})
    assert results.reason({"dense": 0.4}, point, []) == "close in meaning"
    assert results.reason({"dense": 0.02}, point, []) == "remotely related"


def test_a_year_is_no_word_of_a_reason() -> None:
    point = Point("p", {"terms": ["1998", "robot", "3000"]})
    assert results.reason({"tfidf": 1.0}, point, ["1998", "3000", "robot"]) == "shares words: 3000, robot"


def test_a_reason_names_only_what_holds() -> None:
    """An item that no leg proposes is listed because the user boosted its topic, and for nothing else."""
    point = Point("p", {"terms": ["robot"], "topic_ids": ["7"]})
    assert results.reason({}, point, ["robot"], {"7"}) == "in a boosted topic"
    assert results.reason({"dense": 0.4}, point, [], {"7", "8"}) == "close in meaning; in a boosted topic"
    assert results.reason({"tfidf": 0.4}, point, ["tent"], {"8"}) == "shares words"
    assert results.reason({}, point, ["robot"]) == ""
