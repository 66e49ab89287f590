"""Items for everybody."""

from __future__ import annotations

import pytest

from llmrec_qdrant import (
    InvalidInput,
    Recommender,
)
from tests.films import items, watched


def test_what_is_popular_and_what_is_new(rec: Recommender) -> None:
    watched(rec)
    popular = rec.top(2)
    assert {one.id for one in popular} == {"m1", "m2"}
    assert [(one.score, one.reason) for one in popular] == [(2.0, "by popularity")] * 2
    newest = [one.payload["year"] for one in rec.top(4, by="year")]
    assert newest == sorted((one.payload["year"] for one in items()), reverse=True)[:4]
    assert {one.payload["year"] for one in rec.top(8, by="year", filter={"year": {"lt": 2000}})} < set(range(2000))
    with pytest.raises(InvalidInput, match="'titel'"):
        rec.top(by="titel")
