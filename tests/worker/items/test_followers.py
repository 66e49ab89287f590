"""Users follow the items they waited for and the texts they wrote."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from llmrec_qdrant.contracts.messages import EmbedItems, EmbedTexts, RefreshUsers
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point
from llmrec_qdrant.testing import MemoryQueue
from tests.spaces import EITHER, space_on, store_of
from workers.dispatch import Worker


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, SpaceConfig(model="hash", size=8)) as rec:
        rec._queue = MemoryQueue()
        yield rec


def user(rec: Recommender, name: str) -> Point:
    (point,) = store_of(rec).users.retrieve([point_id("user", name)])
    return point


def refresh(rec: Recommender, *names: str) -> None:
    Worker(rec.client).run(RefreshUsers(space=rec.space, ids=[point_id("user", name) for name in names]))


def test_a_user_waits_for_an_item_and_is_refreshed_when_it_comes(rec: Recommender) -> None:
    rec.track(
        [
            Event(user=name, item=item, type="view", ts=1_600_000_000 + 1)
            for name, item in (("ann", "late"), ("bob", "other"))
        ]
    )
    refresh(rec, "ann", "bob")
    assert user(rec, "ann").payload[Key.WAITING] == ["late"] and user(rec, "ann").payload[Key.LEGS] == ["collab"]
    rec.upsert_items([Item(id="late", title="worth waiting for")])
    revision = user(rec, "ann").payload[Key.REVISION]
    Worker(rec.client).drain([EmbedItems(space=rec.space, ids=[point_id("item", "late")])])
    assert user(rec, "ann").payload[Key.REVISION] != revision
    assert user(rec, "ann").payload[Key.WAITING] == [] and "dense" in user(rec, "ann").payload[Key.LEGS]
    assert user(rec, "bob").payload[Key.WAITING] == ["other"] and user(rec, "bob").get(Key.STALE) is False


def test_an_edited_item_wakes_nobody(rec: Recommender) -> None:
    rec.upsert_items([Item(id="a", title="first")])
    Worker(rec.client).drain([EmbedItems(space=rec.space, ids=[point_id("item", "a")])])
    rec.track([Event(user="ann", item="a", type="view", ts=1_600_000_000 + 1)])
    refresh(rec, "ann")
    revision = user(rec, "ann").payload[Key.REVISION]
    rec.upsert_items([Item(id="a", title="second")])
    Worker(rec.client).drain([EmbedItems(space=rec.space, ids=[point_id("item", "a")])])
    assert user(rec, "ann").payload[Key.REVISION] == revision


def test_authors_are_refreshed_after_their_texts(rec: Recommender) -> None:
    event = Event(user="ann", type="review", item="a", text="very good", ts=1_600_000_000 + 1)
    rec.track([event])
    message = EmbedTexts(space=rec.space, ids=[point_id("event", event.event_id)])
    (following,) = Worker(rec.client).run(message)
    assert following == RefreshUsers(space=rec.space, ids=[point_id("user", "ann")])
