"""What is stored can be read back as it went in."""

from __future__ import annotations

import asyncio

import pytest

from llmrec_qdrant import AsyncRecommender, Event, InvalidInput, Recommender
from tests.films import T0, history, items


def test_items_come_back_as_they_went_in(rec: Recommender) -> None:
    assert rec.get_items(["m3", "m1", "nothing", "m3"]) == [items()[2], items()[0]]
    assert sorted(rec.iter_items(), key=lambda item: item.id) == items()
    assert {item.id for item in rec.iter_items(filter={"year": {"gte": 2014}, "lang": "en"})} == {"m1", "m2", "m4"}


def test_items_beyond_one_page_come_back(rec: Recommender) -> None:
    rec.upsert_items([{"id": f"n{number}", "payload": {"year": number}} for number in range(600)], notify=False)
    listed = [item.id for item in rec.iter_items(filter={"year": {"lt": 600}})]
    assert len(listed) == 600 and set(listed) == {f"n{number}" for number in range(600)}


def test_users_and_their_events_come_back(rec: Recommender) -> None:
    mine = [
        *history("ann", "m1", "m2"),
        Event(user="ann", type="rating", item="m3", value=4.5, ts=T0 - 1, session="s", id="e1"),
        Event(user="ann", type="search", text="space", ts=T0 + 1),
    ]
    rec.track([*mine, *history("42", "m4")])
    assert sorted(rec.users()) == ["42", "ann"]
    events = rec.events("ann")
    newest = sorted(mine, key=lambda event: event.ts, reverse=True)
    assert [event.event_id for event in events] == [event.event_id for event in newest]
    assert [event.model_copy(update={"id": None}) for event in events] == [
        event.model_copy(update={"id": None}) for event in newest
    ]
    assert rec.events("ann", 1) == events[:1]
    assert [event.item for event in rec.events(42)] == ["m4"]  # type: ignore[arg-type]
    assert rec.events("nobody") == []
    assert rec.track(events).written == 4 and rec.status().events == 5


@pytest.mark.parametrize("limit", [0, -1, 10_001, True, 2.0, "5"])
def test_an_odd_limit_is_refused(rec: Recommender, limit: object) -> None:
    with pytest.raises(InvalidInput, match="limit must be a whole number from 1 to 10,000"):
        rec.events("ann", limit)  # type: ignore[arg-type]


def test_a_tenant_reads_its_own(rec: Recommender) -> None:
    acme = Recommender(rec.client, rec._queue, rec.space, "acme")
    acme.upsert_items([{"id": "m1", "title": "theirs"}])
    acme.track(history("ann", "m1"))
    assert (
        [item.title for item in acme.iter_items()]
        == ["theirs"]
        == [item.title for item in acme.get_items(["m1", "m2"])]
    )
    assert [item.title for item in rec.get_items(["m1"])] == ["Interstellar"]
    assert list(acme.users()) == ["ann"] and list(rec.users()) == []
    assert len(acme.events("ann")) == 1 and rec.events("ann") == []


def test_the_asynchronous_recommender_reads_the_same() -> None:
    async def scenario() -> None:
        async with AsyncRecommender.connect(path=":memory:", space="local") as rec:
            await rec.create({"model": "hash", "size": 32})
            await rec.upsert_items(items())
            await rec.track(history("ann", "m1"))
            assert await rec.get_items(["m2"]) == [items()[1]]
            assert len([item async for item in rec.iter_items()]) == 8
            assert [user async for user in rec.users()] == ["ann"]
            assert [event.item for event in await rec.events("ann")] == ["m1"]
            assert (await rec.update_items([{"id": "m1", "payload": {"price": 1}}])).written == 1

    asyncio.run(scenario())
