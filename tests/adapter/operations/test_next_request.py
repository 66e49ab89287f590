"""What is written acts in the very next list, also when another process wrote it and the list was asked for before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from llmrec_qdrant import AsyncRecommender, Event, Recommender
from llmrec_qdrant.space.conditions import only
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import set_payload
from tests.films import T0, watched

pytestmark = pytest.mark.qdrant


@pytest.fixture
def where(qdrant_url: str) -> dict[str, str]:
    return {"url": qdrant_url}


@pytest.fixture
def other(rec: Recommender, where: dict[str, str]) -> Iterator[Recommender]:
    """Another process, as far as the first recommender can tell: it shares nothing but the server."""
    with Recommender.connect(**where, space=rec.space) as other:
        yield other


def topics(rec: Recommender) -> None:
    """Give m3 a topic, which the users can steer."""
    rec.client.batch_update_points(
        rec._space.items, set_payload({Key.TOPIC_IDS: ["7"]}, only(point_id("item", "m3"))), wait=True
    )


def mute(rec: Recommender, weight: float) -> None:
    rec.client.set_payload(rec._space.users, {"7": weight}, only(point_id("user", "ann")), key=Key.STEER, wait=True)


WRITES: dict[str, Callable[[Recommender], Any]] = {
    "mute": lambda rec: mute(rec, 0.0),
    "forget": lambda rec: rec.forget_user("ann"),
    "seen": lambda rec: rec.track([Event(user="ann", item="m3", type="view", ts=T0 + 9 * 86_400)]),
    "delete": lambda rec: rec.delete_items(["m3"]),
}


@pytest.mark.parametrize("write", sorted(WRITES))
def test_writes_act_in_the_next_list(rec: Recommender, other: Recommender, where: dict[str, str], write: str) -> None:
    watched(rec)
    topics(rec)
    for _ in range(3):
        assert rec.recommend("ann", 3)[0].id == "m3"
    WRITES[write](other)
    listed = rec.recommend("ann", 3)
    expected = other.recommend("ann", 3)
    assert [(one.id, one.reason) for one in listed] == [(one.id, one.reason) for one in expected]
    assert write == "forget" or "m3" not in {one.id for one in listed}
    assert not listed[0].reason.startswith("popular") or write == "forget"


@pytest.mark.parametrize("write", sorted(WRITES))
def test_writes_act_in_the_next_awaited_list(
    rec: Recommender, other: Recommender, where: dict[str, str], write: str
) -> None:
    watched(rec)
    topics(rec)

    async def listed() -> list[Any]:
        async with AsyncRecommender.connect(**where, space=rec.space) as mine:
            for _ in range(3):
                assert (await mine.recommend("ann", 3))[0].id == "m3"
            WRITES[write](other)
            return await mine.recommend("ann", 3)

    assert [(one.id, one.reason) for one in asyncio.run(listed())] == [
        (one.id, one.reason) for one in other.recommend("ann", 3)
    ]


def test_steering_back_and_forth_acts_every_time(rec: Recommender, other: Recommender) -> None:
    watched(rec)
    topics(rec)
    for number in range(6):
        mute(other, float(number % 2))
        assert ("m3" in {one.id for one in rec.recommend("ann", 3)}) == (number % 2 == 1)


def test_the_request_is_that_of_the_list_after_every_write(
    rec: Recommender, other: Recommender, where: dict[str, str]
) -> None:
    watched(rec)
    for item in ("m3", "m4", "m5"):
        rec.recommend("ann", 5)
        other.track([Event(user="ann", item=item, type="view", ts=T0 + 9 * 86_400)])
        body = other.request("ann", 5, exclude_seen=True)
        answer = httpx.post(f"{where['url']}/collections/{rec._space.items}/points/query", json=body).json()
        assert [
            (point["payload"]["item_id"], pytest.approx(point["score"])) for point in answer["result"]["points"]
        ] == [(one.id, one.score) for one in rec.recommend("ann", 5)]
