"""The collab leg in a space: partial rebuilds against whole fits, whatever happens in between."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from llmrec_qdrant.contracts.messages import FitCollab
from llmrec_qdrant.operations.clock import timestamp
from llmrec_qdrant.space.ids import point_id, sparse_index
from llmrec_qdrant.space.layout import COLLAB, Key
from llmrec_qdrant.testing import MemoryQueue
from tests.spaces import EITHER, space_on, store_of
from workers.behaviour import cooccurrence
from workers.dispatch import Worker
from workers.items import collab, collab_due, interactions
from workers.reconcile import reconcile
from workers.users import history

CONFIG = SpaceConfig(model="hash", size=32)


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    """Forty users who follow one chain of items, fitted."""
    with space_on(request, CONFIG) as made:
        made.upsert_items([Item(id=f"i{k}", title=f"number {k}") for k in range(60)])
        made.track(view(f"u{n}", (n + step) % 40, step) for n in range(40) for step in range(6))
        made.reconcile()
        yield made


def view(user: str, item: int, step: int) -> Event:
    return Event(user=user, item=f"i{item}", type="view", ts=1_600_000_000 + step)


def rows(rec: Recommender) -> dict[str, tuple[float, dict[int, float]]]:
    """Popularity and collab vector of every item."""
    result = {}
    for item in (item for page in store_of(rec).items.pages(vectors=[COLLAB]) for item in page):
        vector = item.sparse(COLLAB)
        pairs = dict(zip(vector.indices, vector.values, strict=True)) if vector else {}
        result[item.payload[Key.ITEM_ID]] = (item.get(Key.POPULARITY, 0.0), pairs)
    return result


def test_new_events_rebuild_the_rows_they_change_and_nothing_else(rec: Recommender) -> None:
    """Two users take two new items in a row; what a fit from nothing gives for the changed rows is what they have."""
    before = rows(rec)
    assert list(reconcile(store_of(rec))) == []
    rec.track([view("new", 3, 0), view("new", 50, 1), view("new", 51, 2), view("other", 50, 5), view("other", 51, 6)])
    (message,) = reconcile(store_of(rec))
    changed = {"i3", "i50", "i51"}
    assert isinstance(message, FitCollab) and set(message.ids) == {point_id("item", one) for one in changed}
    Worker(rec.client).run(message)
    after = rows(rec)
    assert {name for name in after if after[name] != before[name]} == changed
    assert after["i50"][0] == 2.0 and after["i51"][1]
    assert [one.id for one in rec.recommend_from(["i50"], limit=1, weights={"collab": 1})] == ["i51"]
    assert list(reconcile(store_of(rec))) == []
    collab.fit(store_of(rec), CONFIG)
    whole_fit = rows(rec)
    for name in changed:
        assert after[name][0] == whole_fit[name][0]
        assert after[name][1] == pytest.approx(whole_fit[name][1], rel=1e-6)


def test_a_rebuild_twice_or_of_what_is_gone_changes_nothing(rec: Recommender) -> None:
    rec.track([view("new", 3, 0), view("new", 50, 1)])
    points = [point_id("item", f"i{k}") for k in (3, 50, 20)] + [point_id("item", "never")]
    Worker(rec.client).run(FitCollab(space=rec.space, ids=points))
    once = rows(rec)
    Worker(rec.client).run(FitCollab(space=rec.space, ids=points))
    assert rows(rec) == once
    rec.forget_user("new")
    Worker(rec.client).run(FitCollab(space=rec.space, ids=points))
    assert rows(rec)["i50"] == (0.0, {})


def test_an_event_in_the_middle_of_a_rebuild_is_not_lost(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    rec.track([view("new", 3, 0), view("new", 50, 1)])
    (message,) = reconcile(store_of(rec))
    found = collab._events_of_takers

    def late(*given: Any) -> Any:
        users = found(*given)
        rec.track([view("late", 50, 0), view("late", 52, 1)])
        return users

    monkeypatch.setattr(collab, "_events_of_takers", late)
    Worker(rec.client).run(message)
    monkeypatch.undo()
    (again,) = reconcile(store_of(rec))
    assert isinstance(again, FitCollab) and point_id("item", "i50") in again.ids


def test_a_very_popular_item_waits_for_the_next_fit(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collab_due, "MAX_POPULARITY", 5)
    rec._queue = MemoryQueue()
    rec.track([view("new", 3, 0), view("new", 50, 1)])  # i3 has six users already
    Worker(rec.client).drain(rec._queue.sent)
    assert collab_due.due(store_of(rec)) == [point_id("item", "i50")]
    monkeypatch.setattr(collab_due, "MAX_USERS", 0)
    assert collab_due.due(store_of(rec)) == []


def test_an_edit_of_an_item_keeps_what_its_collab_leg_is_due(rec: Recommender) -> None:
    rec.track([view("new", 3, 0), view("new", 50, 1)])
    rec.upsert_items([Item(id="i50", title="another title", payload={"year": 2001})])
    assert point_id("item", "i50") in collab_due.due(store_of(rec))


def test_too_much_to_read_is_left_to_the_next_whole_fit(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows(rec)
    rec.track([view("new", 3, 0), view("new", 50, 1)])
    (message,) = reconcile(store_of(rec))
    monkeypatch.setattr(collab, "MAX_REBUILD_EVENTS", 1)
    Worker(rec.client).run(message)
    assert rows(rec) == before and list(reconcile(store_of(rec))) == []


def test_dislikes_in_between_shorten_no_distance(rec: Recommender) -> None:
    """A fit does not see them, so items beyond eleven of them are next to the new one."""
    rec.track([view("picky", 50, 0)])
    rec.track([Event(user="picky", item=f"i{k}", type="dislike", ts=1_600_000_001 + k) for k in range(11)])
    Worker(rec.client).drain(reconcile(store_of(rec)))
    rec.track([view("picky", 51, 30)])
    assert set(collab_due.due(store_of(rec))) == {point_id("item", one) for one in ("i50", "i51")}


def test_other_settings_of_users_rebuild_no_item(rec: Recommender) -> None:
    """Every user is folded anew, and nobody did anything new."""
    before = rows(rec)
    rec.create(CONFIG.model_copy(update={"position_decay": 0.1}))
    assert collab_due.due(store_of(rec)) == []
    assert rows(rec) == before


def test_an_item_without_events_loses_its_row(rec: Recommender) -> None:
    rec.track([view("alone", 58, 0), view("alone", 59, 1)])
    collab.fit(store_of(rec), CONFIG)
    assert rows(rec)["i59"][0] == 1.0 and rows(rec)["i59"][1]
    rec.forget_user("alone")
    collab.fit(store_of(rec), CONFIG)
    assert rows(rec)["i59"] == (0.0, {})


def test_an_account_that_floods_is_one_voice(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: i1 follows i0 for six people, at one step; a bot takes i0 and i50 in turn, 300 times."""
    before = rows(rec)
    listed = [one.id for one in rec.recommend_from(["i0"], limit=4, weights={"collab": 1})]
    rec.load_events([view("bot", (0, 50)[k % 2], k) for k in range(600)])
    rec.reconcile()
    collab.fit(store_of(rec), CONFIG)
    after = rows(rec)
    assert (before["i0"][0], after["i0"][0], after["i50"][0]) == (6, 7, 1)
    source = sparse_index("i0")
    assert after["i50"][1][source] == pytest.approx(1 / 7**0.5)
    assert after["i1"][1][source] == pytest.approx(before["i1"][1][source] * (6 / 7) ** 0.5)
    assert [one.id for one in rec.recommend_from(["i0"], limit=4, weights={"collab": 1})] == listed
    assert rec.top(3)[-1].score >= 6


def test_of_a_huge_history_a_rebuild_reads_the_latest_events(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collab, "MAX_EVENTS", 50)
    monkeypatch.setattr(collab, "MAX_EVENTS_TOGETHER", 60)
    rec.load_events([view("bot", k % 40, 100 + k) for k in range(400)])
    parts = collab._events_of_takers(store_of(rec), [("", "i3")])
    read = [event for part in parts for page in part.pages(store_of(rec)) for event in page]
    of_bot = [event for event in read if event.payload[Key.USER_ID] == "bot"]
    assert len(of_bot) == 50 and len(read) == sum(part.events for part in parts) == 50 + 6 * 6
    assert min(timestamp(event.payload[Key.TS]) for event in of_bot) == 1_600_000_100 + 350


KINDS = ["view", "view", "view", "like", "dislike", "purchase", "return", "unlike"]
STEP = st.tuples(st.sampled_from("abcd"), st.integers(0, 8), st.integers(0, 30), st.sampled_from(KINDS))

UNDO = st.tuples(st.sampled_from("abcd"), st.integers(0, 8))


@pytest.mark.parametrize("rec", ["local"], indirect=True)
@pytest.mark.parametrize("voice", [1_000, 6])
@hypothesis.settings(
    max_examples=10, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.one_of(st.lists(STEP, min_size=1, max_size=8), UNDO, st.integers(0, 8)), max_size=6))
@pytest.mark.slow
def test_rows_that_follow_every_event_are_those_of_a_whole_fit(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch, voice: int, acts: list[Any]
) -> None:
    """Whatever comes in whatever order: opinions that change, events undone, items deleted and loaded again.

    Rows that did not change otherwise may have an old scale of their sources, so there is none here. With a voice of six
    events, old ones lose theirs.
    """
    monkeypatch.setattr(cooccurrence, "source_scale", lambda popularity: np.ones(len(popularity)))
    for module, name in ((interactions, "MAX_EVENTS"), (collab_due, "MAX_EVENTS"), (history, "MAX_EVENTS_READ")):
        monkeypatch.setattr(module, name, voice)
    monkeypatch.setattr(collab, "MAX_EVENTS", voice)
    monkeypatch.setattr(collab, "MAX_EVENTS_TOGETHER", voice)
    collab.fit(store_of(rec), CONFIG)
    tail, number = uuid.uuid4().hex[:6], 0
    for act in acts:
        if isinstance(act, int):
            rec.delete_items([f"i{act}"])
            rec.upsert_items([Item(id=f"i{act}", title=f"again {act}")])
            Worker(rec.client).run(FitCollab(space=rec.space))  # as the growth of the space would
            continue
        if isinstance(act, tuple):
            rec.remove_events(user=f"{act[0]}{tail}", item=f"i{act[1]}")
        for who, item, at, kind in act if isinstance(act, list) else ():
            number += 1  # no two events at one moment
            moment = 1_600_000_000 + at + number / 1_000
            rec.track([Event(user=f"{who}{tail}", item=f"i{item}", type=kind, ts=moment)])
        while messages := list(reconcile(store_of(rec))):
            Worker(rec.client).drain(messages)
    after = rows(rec)
    collab.fit(store_of(rec), CONFIG)
    fitted = rows(rec)
    for name, (popularity, row) in after.items():
        assert popularity == fitted[name][0], name
        assert row == pytest.approx(fitted[name][1], rel=1e-6), name
