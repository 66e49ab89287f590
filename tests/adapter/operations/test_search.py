"""Items for a text."""

from __future__ import annotations

import pytest

from llmrec_qdrant import Event, InvalidInput, Item, Recommender, WorkPending
from llmrec_qdrant.testing import MemoryQueue
from tests.films import history

KINDS = ("green", "blue", "large", "small", "light")
NOW = 1_700_000_000.0


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


def test_a_search_for_a_user_lists_what_matches_first() -> None:
    """Taste orders among matches; it lifts nothing that has no word of the text above something that has one."""
    with Recommender.connect(path=":memory:", space="shop") as rec:
        rec.create({"model": "hash", "size": 64})
        rec.upsert_items(
            Item(id=f"boot{n}", title=f"boots {kind}", text="red leather") for n, kind in enumerate(KINDS * 6)
        )
        rec.upsert_items(
            Item(id=f"tent{n}", title=f"{kind} house for camping under the stars", text=f"a tent with poles number {n}")
            for n, kind in enumerate(KINDS)
        )
        rec.upsert_items([Item(id="tents", title="tent tent"), Item(id="twin", title="tent tent")])
        for user in ("ann", "eve", "joe"):
            rec.track([Event(user=user, type="purchase", item=f"boot{n}", ts=NOW + n) for n in range(20)])
        found = [one.id for one in rec.search("tent", user="ann", limit=10)]
        assert set(found[:7]) == {"twin", "tents", *(f"tent{n}" for n in range(5))}

        plain = {one.id: one.score for one in rec.search("tent", limit=37)}
        gained = {one.id: one.score - plain[one.id] for one in rec.search("tent", user="ann", limit=37)}
        assert max(gained, key=gained.__getitem__).startswith("boot") and all(
            0 <= gain <= 0.5 for gain in gained.values()
        )
        assert rec.search("tent", user="nobody") == rec.search("tent")
