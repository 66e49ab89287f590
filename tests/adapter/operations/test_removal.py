"""Undoing events: everything that was derived from them follows, as if they had never been stored."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmrec_qdrant import AsyncRecommender, Event, InvalidInput, Recommender
from llmrec_qdrant.operations import removal
from llmrec_qdrant.space.layout import COLLAB, Key
from tests.films import CONFIG, DAY, T0, connect, history, items
from tests.spaces import drop, fresh_name, merged, store_of


def followers(rec: Recommender) -> dict[str, tuple[float, dict[int, float]]]:
    """Popularity and collab vector of every item."""
    points = [item for page in store_of(rec).items.pages(vectors=[COLLAB]) for item in page]
    rows = {item.payload[Key.ITEM_ID]: item.sparse(COLLAB) for item in points}
    pairs = {name: dict(zip(row.indices, row.values, strict=True)) if row else {} for name, row in rows.items()}
    return {item.payload[Key.ITEM_ID]: (item.get(Key.POPULARITY), pairs[item.payload[Key.ITEM_ID]]) for item in points}


def stored(rec: Recommender, user: str) -> dict[str, Any] | None:
    """Payload and vectors of a user, without times and revisions."""
    point = next((user_ for user_ in all_users(rec) if user_.payload["user_id"] == user), None)
    if point is None:
        return None
    values = merged(point.payload)
    changing = ("updated_at", "revision", "lease", "folding")
    return {key: value for key, value in values.items() if key not in changing} | {"vectors": point.vector}


def all_users(rec: Recommender) -> list[Any]:
    page, _ = rec.client.scroll(f"{rec.space}_users", limit=100, with_vectors=True)
    return list(page)


def told(rec: Recommender) -> None:
    rec.track([*history("ann", "m1", "m2", "m3"), *history("bob", "m1", "m2", "m4"), *history("cy", "m2", "m5")])
    rec.reconcile()


WRONG = [
    Event(user="ann", item="m4", type="purchase", ts=T0 + 5 * DAY, id="slip"),
    Event(user="dan", item="m4", type="view", ts=T0, id="slip2"),
    Event(user="dan", type="search", text="robots in love", ts=T0 + DAY, id="slip3"),
]


@pytest.mark.parametrize("selection", [{"ids": ["slip", "slip2", "slip3"]}, {"each": True}])
def test_what_was_undone_was_never_there(rec: Recommender, selection: dict[str, Any]) -> None:
    told(rec)
    before = followers(rec), stored(rec, "ann"), rec.recommend("ann", 5)
    rec.track(WRONG)
    rec.reconcile()
    assert followers(rec) != before[0] and stored(rec, "dan")
    if "each" in selection:
        removed = rec.remove_events(user="ann", item="m4") + rec.remove_events(user="dan")
    else:
        removed = rec.remove_events(**selection)
    rec.reconcile()
    assert removed == 3
    rows, fitted = followers(rec), before[0]
    assert {name: popularity for name, (popularity, _) in rows.items()} == {name: p for name, (p, _) in fitted.items()}
    assert all(rows[name][1] == pytest.approx(row) for name, (_, row) in fitted.items())
    assert stored(rec, "ann") == before[1]
    assert stored(rec, "dan") is None
    assert [one.id for one in rec.recommend("ann", 5)] == [one.id for one in before[2]]
    assert rec.status().events == 8 and rec.status().texts == 0


def test_an_item_nobody_took_any_more_loses_its_row(rec: Recommender) -> None:
    told(rec)
    assert rec.remove_events(item="m5") == 1
    rec.reconcile()
    assert followers(rec)["m5"] == (0.0, {})
    assert rec.status().events == 7


def test_many_users_are_left_to_a_whole_fit(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "MAX_USERS_FOLLOWED", 1)
    told(rec)
    rec.remove_events(item="m2")
    rec.reconcile()
    rows = followers(rec)
    assert rows["m2"] == (0.0, {})
    assert len(rows["m3"][1]) == 1


def test_an_undone_event_that_is_stored_again_counts_again(rec: Recommender) -> None:
    told(rec)
    before = stored(rec, "ann")
    rec.remove_events(user="ann", item="m3")
    assert stored(rec, "ann") != before
    told(rec)
    assert stored(rec, "ann") == before


def test_nothing_is_removed_without_a_selection_or_of_another_tenant(where: dict[str, str]) -> None:
    rec = connect(where)
    rec.create(CONFIG)
    with pytest.raises(InvalidInput, match="needs their ids, a user or an item"):
        rec.remove_events()
    assert rec.remove_events(ids=[]) == rec.remove_events(user="nobody") == 0
    tenant = Recommender(rec.client, rec._queue, rec.space, tenant="acme")
    tenant.upsert_items([item.model_copy(update={"tenant": "acme"}) for item in items()])
    tenant.track([Event(user="ann", item="m1", type="view", ts=T0, id="e1")])
    assert rec.remove_events(ids="e1") == rec.remove_events(item="m1") == 0
    assert tenant.remove_events(ids="e1") == 1
    drop(rec)


def test_forgetting_a_user_takes_back_their_voice(rec: Recommender) -> None:
    told(rec)
    rec.forget_user("cy")
    rec.reconcile()
    assert followers(rec)["m5"] == (0.0, {})


@pytest.mark.qdrant
def test_the_asynchronous_recommender_removes_too(qdrant_url: str) -> None:
    async def removed() -> int:
        rec = AsyncRecommender.connect(qdrant_url, space=fresh_name())
        await rec.create(CONFIG)
        await rec.track([Event(user="ann", item="m1", type="view", ts=T0, id="e1")])
        count = await rec.remove_events(ids=["e1", "never"])
        await rec.close()
        return count

    assert asyncio.run(removed()) == 1
