"""Items for a text."""

from __future__ import annotations

import pytest

from llmrec_qdrant import (
    InvalidInput,
    Recommender,
    WorkPending,
)
from llmrec_qdrant.testing import MemoryQueue
from tests.films import history


def test_search(rec: Recommender) -> None:
    assert rec.search("French recipes", limit=1)[0].id in {"m5", "m6"}
    assert rec.search("美食", limit=1)[0].id == "m8"
    rec.track(history("ann", "m1", "m2"))
    assert {one.id for one in rec.search("astronauts", user="ann", limit=3)} == {"m1", "m2", "m3"}
    for text in ("", "  ", "x" * 2001, 5, None):
        with pytest.raises(InvalidInput, match="2,000 characters"):
            rec.search(text)  # type: ignore[arg-type]


def test_search_without_a_worker_says_so(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmrec_qdrant.operations.search.MAX_WAIT_FOR_TEXT", 0.1)
    idle = Recommender(rec._client, MemoryQueue(), rec._space.name)
    with pytest.raises(WorkPending, match="start one with"):
        idle.search("a text nobody has asked for")
    assert rec.search("a text nobody has asked for") is not None
