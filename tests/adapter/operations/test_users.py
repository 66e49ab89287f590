"""What lists know of a user."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from llmrec_qdrant.contracts.answers import Interest
from llmrec_qdrant.operations.users import StoredUser

INTERESTS = tuple(
    Interest(topic=topic, label=topic, weight=weight, last_at=datetime(2024, 1, 1, tzinfo=UTC))
    for topic, weight in {"a": 0.5, "b": 0.3, "c": 0.2}.items()
)


def test_shares_add_up_to_one_whatever_is_muted_or_boosted() -> None:
    """Without a, b has 0.3 of 0.5. Boosted, c weighs 0.4 and d, a topic without events, 0.05 · 2."""
    assert StoredUser("u", interests=INTERESTS, steering={"a": 0}).shares == pytest.approx({"b": 0.6, "c": 0.4})
    boosted = StoredUser("u", interests=INTERESTS, steering={"a": 0, "c": 2, "d": 2})
    assert boosted.shares == pytest.approx({"b": 0.375, "c": 0.5, "d": 0.125})
    assert StoredUser("u", interests=INTERESTS, steering={"a": 0, "b": 0, "c": 0}).shares == {}
