"""The asynchronous recommender gives what the synchronous one gives."""

from __future__ import annotations

import asyncio

import pytest

from llmrec_qdrant import AsyncRecommender, Event, Item, Recommender, SpaceConfig, SpaceNotFound
from tests.spaces import drop, fresh_name

CONFIG = SpaceConfig(model="hash", size=32, fields={"year": "integer"})
ITEMS = [
    Item(id=f"i{k}", title=f"{'space war' if k % 2 else 'garden love'} {'x' * k} {k}", payload={"year": 2000 + k})
    for k in range(12)
]
EVENTS = [Event(user="ann", item=f"i{k}", type="view", ts=1_600_000_000 + k) for k in (1, 3)]


@pytest.mark.qdrant
def test_both_adapters_agree_on_a_server(qdrant_url: str) -> None:
    space = fresh_name()

    async def scenario() -> tuple[list[object], ...]:
        async with AsyncRecommender.connect(qdrant_url, space=space) as rec:
            with pytest.raises(SpaceNotFound):
                await rec.status()
            await rec.create(CONFIG)
            await rec.upsert_items(ITEMS)
            await rec.track(EVENTS)
            await rec.reconcile()
            many = await asyncio.gather(*(rec.recommend("ann", 4, filter={"year": {"gte": 2004}}) for _ in range(8)))
            assert all(one == many[0] for one in many)
            return (
                list(many[0]), list(await rec.similar_items("i1", 3)), list(await rec.recommend_from(["i1"], limit=3)),
                list(await rec.search("space war", limit=3)), [await rec.request("ann", 4)], [await rec.status()],
            )  # fmt: skip

    got = asyncio.run(scenario())
    rec = Recommender.connect(qdrant_url, space=space)
    assert got == (
        rec.recommend("ann", 4, filter={"year": {"gte": 2004}}), rec.similar_items("i1", 3),
        rec.recommend_from(["i1"], limit=3), rec.search("space war", limit=3), [rec.request("ann", 4)], [rec.status()],
    )  # fmt: skip
    drop(rec)


def test_embedded_qdrant_works_beside_the_event_loop() -> None:
    async def scenario() -> None:
        async with AsyncRecommender.connect(path=":memory:", space="local") as rec:
            await rec.create(CONFIG)
            await rec.upsert_items(ITEMS)
            await rec.track(EVENTS)
            listed = await asyncio.gather(*(rec.recommend("ann", 3) for _ in range(4)))
            assert {one.id for one in listed[0]} <= {f"i{k}" for k in range(5, 12, 2)}
            assert await rec.similar_users("ann") == []
            job = await rec.reembed(size=16)
            assert (await job.wait(60)).state == "done" and job.result["version"] == 2
            assert [one.id for one in await rec.jobs()] == [job.id] == [(await rec.job(job.id)).id]
            assert (await rec.recommend("ann", 1))[0].id in {"i5", "i7", "i9", "i11"}
            assert await rec.delete_items(["i1"]) == 1
            assert await rec.forget_user("ann") == 2

    asyncio.run(scenario())
