"""Interests as they are stored: readable, with titles, and the same when read back."""

from __future__ import annotations

from llmrec_qdrant import Interest
from llmrec_qdrant.space.interests import read_interest, stored_interest

INTEREST = Interest(
    topic="7",
    label="Space opera",
    keywords=["star", "ship"],
    weight=0.75,
    trend="rising",
    items=["m1", "m2"],
    titles={"m1": "Solaris"},
    last_at="2024-05-01T12:00:00Z",  # type: ignore[arg-type]
    steer=2.0,
)


def test_people_read_label_weight_and_evidence_first() -> None:
    stored = stored_interest(INTEREST)
    assert list(stored) == ["label", "weight", "trend", "keywords", "items", "topic", "last_at"]
    assert stored["items"] == [{"id": "m1", "title": "Solaris"}, {"id": "m2", "title": ""}]


def test_what_was_stored_is_read_back_but_for_the_steering() -> None:
    assert read_interest(stored_interest(INTEREST)) == INTEREST.model_copy(update={"steer": 1.0})
