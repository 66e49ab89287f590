"""Evaluation against a space whose answers are known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from llmrec_qdrant import Event, InvalidInput, Item, Recommender, SpaceConfig
from llmrec_qdrant.layout import KINDS
from tests.spaces import drop, fresh_name
from workers.evaluate import evaluate, measures, split

CONFIG = SpaceConfig(model="hash", size=32)


@pytest.fixture(params=["local", pytest.param("server", marks=pytest.mark.qdrant)])
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    where = {"path": ":memory:"} if request.param == "local" else {"url": request.getfixturevalue("qdrant_url")}
    made = Recommender.connect(**where, space=fresh_name())
    made.create(CONFIG)
    yield made
    drop(made)


def test_measures_of_places_worked_out_by_hand() -> None:
    found = measures(np.array([1, 2, 4, np.inf]))
    assert found["hr"].tolist() == [1, 1, 1, 0]
    assert found["ndcg"] == pytest.approx([1, 1 / math.log2(3), 1 / math.log2(5), 0])
    assert found["mrr"] == pytest.approx([1, 0.5, 0.25, 0])


def event(user: str, item: str, day: int, kind: str = "view") -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "tenant": "", "type": kind, "ts": f"2024-01-{day:02d}T00:00:00.000000Z"}


def test_the_target_is_the_last_item_taken_for_the_first_time() -> None:
    events = [event("u", "a", 1), event("u", "b", 2), event("u", "a", 3), event("u", "c", 4, "dislike")]
    (found,) = split(events, CONFIG, 10)
    assert (found.user, found.item, found.events_before) == ("u", "b", 1)
    assert split([event("u", "a", 1), event("u", "a", 2)], CONFIG, 10) == []


def test_a_sequence_everybody_follows_is_found_and_nothing_of_the_space_changes(rec: Recommender) -> None:
    rec.upsert_items([Item(id=f"i{k}", title=f"title {chr(97 + k)}{chr(99 + k)} number {k}") for k in range(20)])
    rec.track(
        [Event(user=f"u{n}", item=f"i{(n + k) % 20}", type="view", ts=k * 86_400) for n in range(40) for k in range(4)]
    )
    rec.reconcile()
    before = (rec.status(), rec.request("u1"), {one.name for one in rec.client.get_collections().collections})
    found = evaluate(rec.client, rec._space, CONFIG, users=30)
    rows = {row.name: row for row in found.rows}
    assert found.users == rows["recommend"].users == 30
    assert rows["collab alone"].hr == 1.0 and rows["collab alone"].ndcg > 0.9  # what follows is always the same
    assert rows["popularity"].hr < 1.0
    assert rows["recommend"].low <= rows["recommend"].ndcg <= rows["recommend"].high
    assert before == (rec.status(), rec.request("u1"), {one.name for one in rec.client.get_collections().collections})


def test_what_is_hidden_is_not_learnt_from(rec: Recommender) -> None:
    """One user, one pair: with the future hidden no leg but meaning can know the target, and it has no text."""
    rec.upsert_items([Item(id="a", title="alpha"), Item(id="b")])
    rec.track([Event(user="u", item="a", type="view", ts=0), Event(user="u", item="b", type="view", ts=86_400)])
    rec.reconcile()
    found = evaluate(rec.client, rec._space, CONFIG)
    rows = {row.name: row for row in found.rows}
    assert rows["collab alone"].ndcg == 0 or rows["collab alone"].hr == 1  # only by falling back to the one other item
    assert rows["recommend, items without events"].users == 1


def test_a_space_without_histories_says_so(rec: Recommender) -> None:
    with pytest.raises(InvalidInput, match="no user who took two items"):
        evaluate(rec.client, rec._space, CONFIG)


def test_a_space_that_is_called_trial_is_not_touched(rec: Recommender) -> None:
    rec.upsert_items([Item(id=f"i{k}", title=f"number {k}") for k in range(5)])
    rec.track([Event(user=f"u{n}", item=f"i{k}", type="view", ts=k) for n in range(3) for k in range(3)])
    rec.reconcile()
    own = Recommender(rec.client, rec._queue, f"{rec.space}-trial")
    own.create(CONFIG)
    own.upsert_items([Item(id="mine", title="mine")])
    evaluate(rec.client, rec._space, CONFIG)
    assert own.status().items == 1
    for kind in KINDS:
        rec.client.delete_collection(own._space.versioned(kind))
