"""Evaluation against a space whose answers are known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from llmrec_qdrant import Event, InvalidInput, Item, Recommender, SpaceConfig
from llmrec_qdrant.layout import KINDS
from tests.spaces import EITHER, space_on
from workers.evaluate import evaluate, interval, measures, p_value
from workers.trial import Split, hide_last, hide_latest

CONFIG = SpaceConfig(model="hash", size=32)


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, CONFIG) as made:
        yield made


def test_measures_of_lists_worked_out_by_hand() -> None:
    """Two wanted at places 1 and 3 of 4; one at 2; one absent; nothing listed."""
    found = measures([["a", "x", "b", "y"], ["x", "c"], ["x"], []], [["a", "b"], ["c"], ["d"], ["e"]], 4)
    ideal = 1 + 1 / math.log2(3)
    assert found["ndcg"] == pytest.approx([(1 + 1 / math.log2(4)) / ideal, 1 / math.log2(3), 0, 0])
    assert found["hr"].tolist() == [1, 1, 0, 0]
    assert found["recall"].tolist() == [1, 1, 0, 0]
    assert found["mrr"].tolist() == [1, 0.5, 0, 0]
    assert found["map"] == pytest.approx([(1 + 2 / 3) / 2, 0.5, 0, 0])
    cut = measures([["x", "x2", "b"]], [["b", "c"]], 2)
    assert {name: values.tolist() for name, values in cut.items()} == {key: [0.0] for key in found}


def test_intervals_hold_the_mean_and_tests_tell_noise_from_difference() -> None:
    chance = np.random.default_rng(1)
    values = chance.random(200)
    low, high = interval(values)
    assert low < values.mean() < high and high - low == pytest.approx(2 * 1.96 * values.std() / 200**0.5, rel=0.15)
    assert p_value(values, values) == 1.0
    assert p_value(values, values + chance.normal(0, 0.1, 200)) > 0.05
    assert p_value(values, values + chance.normal(0.05, 0.1, 200)) < 0.01


def event(user: str, item: str, day: int, kind: str = "view") -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "tenant": "", "type": kind, "ts": f"2024-01-{day:02d}T00:00:00.000000Z"}


def hidden(found: Split, events: list[dict[str, Any]]) -> list[str]:
    return [f"{one['user_id']}{one['item_id']}" for one in events if found.hides(one)]


def test_the_target_is_the_last_item_taken_for_the_first_time() -> None:
    events = [event("u", "a", 1), event("u", "b", 2), event("u", "a", 3), event("u", "c", 4, "dislike")]
    found = hide_last(events, CONFIG, 10)
    (target,) = found.targets
    assert (target.user, target.items, target.events_before) == ("u", ("b",), 1)
    assert hidden(found, events) == ["ub", "ua", "uc"]
    assert hide_last([event("u", "a", 1), event("u", "a", 2)], CONFIG, 10).targets == ()


def test_several_last_items_leave_a_past() -> None:
    events = [event("u", item, day) for day, item in enumerate("abcd", start=1)] + [
        event("v", "a", 1),
        event("v", "b", 2),
    ]
    found = hide_last(events, CONFIG, 10, hide=2)
    assert [(one.user, one.items) for one in found.targets] == [("u", ("c", "d"))]
    assert hidden(found, events) == ["uc", "ud"]


def test_of_items_taken_at_once_a_random_one_is_the_target() -> None:
    events = [event(f"u{n}", "a", 1) for n in range(40)] + [event(f"u{n}", item, 2) for n in range(40) for item in "bc"]
    found = hide_last(events, CONFIG, 40)
    assert {one.items for one in found.targets} == {("b",), ("c",)}
    assert hide_last(events, CONFIG, 40) == found != hide_last(events, CONFIG, 40, seed=1)


def test_a_split_in_time_hides_what_everybody_did_since() -> None:
    events = [event("u", "a", 1), event("v", "b", 2), event("u", "b", 9), event("v", "b", 10), event("w", "c", 10)]
    found = hide_latest(events, CONFIG, 10, share=0.5)
    assert [(one.user, one.items, one.events_before) for one in found.targets] == [
        ("u", ("b",), 1)
    ]  # v had b, w is new
    assert hidden(found, events) == ["ub", "vb", "wc"]
    assert hide_latest([], CONFIG, 10).targets == ()


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
    assert rows["most popular"].hr < 1.0
    assert rows["recommend"].low <= rows["recommend"].ndcg <= rows["recommend"].high
    assert rows["recommend"].p is None and rows["most popular"].p < 0.05
    assert 0 < rows["recommend"].coverage <= 1 and 0 <= rows["recommend"].diversity <= 2
    late = evaluate(rec.client, rec._space, CONFIG, users=30, split=hide_latest)
    assert late.users > 0 and {row.name for row in late.rows} >= {"recommend", "collab alone", "most popular"}
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
