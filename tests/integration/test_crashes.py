"""A process or a Qdrant that dies between two operations of one request, and whoever comes in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from llmrec_qdrant import Item, Recommender, SpaceConfig
from llmrec_qdrant.space.conditions import only
from llmrec_qdrant.space.ids import digest, point_id
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point
from llmrec_qdrant.testing import HashEncoder, MemoryQueue
from tests.spaces import EITHER, interrupt, space_on, store_of
from workers.items.embed import source_text
from workers.users import refresh

CONFIG = SpaceConfig(model="hash", size=16)
OLD = Item(id="a", title="space war", payload={"year": 1, "gone": True})
NEW = Item(id="a", title="garden love roses", payload={"year": 2})
WRITES = ("upsert", "delete", "delete_vectors", "update_collection")


class Killed(BaseException):
    """No error: nothing catches it, as nothing catches the death of a process."""


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, CONFIG) as rec:
        yield rec


def killed_after(rec: Recommender, count: int, work: Callable[[], object]) -> bool:
    """Do the work; Qdrant carries out ``count`` operations of it, one by one, and dies. False if it has no more."""
    done = 0
    whole = {name: getattr(rec.client, name) for name in (*WRITES, "batch_update_points")}

    def step() -> None:
        nonlocal done
        done += 1
        if done > count:
            raise Killed

    def one(name: str) -> Any:
        def write(**arguments: Any) -> Any:
            step()
            return whole[name](**arguments)

        return write

    def batch(update_operations: list[Any], **arguments: Any) -> None:
        for operation in update_operations:
            step()
            whole["batch_update_points"](update_operations=[operation], **arguments)

    for name in WRITES:
        setattr(rec.client, name, one(name))
    rec.client.batch_update_points = batch  # type: ignore[method-assign,assignment]
    try:
        with suppress(Killed):
            work()
    finally:
        for name, method in whole.items():
            setattr(rec.client, name, method)
    return done > count


def stored(rec: Recommender) -> Point:
    (point,) = store_of(rec).items.retrieve([point_id("item", "a")], vectors=True)
    return point


def fits(point: Point) -> bool:
    """The vectors are those of the text, or the point is known to be stale."""
    (row,) = HashEncoder(CONFIG.size).encode([source_text(point.payload)])
    return bool(point.get(Key.STALE)) or np.allclose(point.dense("dense") or [], row, atol=1e-4)


def digests(title: str) -> str:
    return digest(None, "a", title, "")


@pytest.mark.parametrize("encoding", [False, True], ids=["alone", "while a worker encodes the old text"])
def test_an_edit_that_dies_leaves_no_text_with_vectors_of_another(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch, encoding: bool
) -> None:
    for count in range(10):
        rec.upsert_items([OLD], replace=True)
        died: list[bool] = []

        def edit(count: int = count, died: list[bool] = died) -> None:
            if not died:
                died.append(True)
                died[0] = killed_after(rec, count, lambda: rec.upsert_items([NEW], notify=False, replace=True))

        if encoding:
            store_of(rec).items.set_payload({Key.STALE: True}, only(point_id("item", "a")))
            with monkeypatch.context() as patched:
                interrupt(patched, edit)
                rec.reconcile()
        else:
            edit()
        assert fits(stored(rec)), f"after {count} operations"
        other = OLD.title if stored(rec).payload[Key.TITLE] == NEW.title else NEW.title
        assert stored(rec).get(Key.SRC_HASH) != digests(other), f"after {count} operations"
        rec.reconcile()
        assert fits(stored(rec)) and not stored(rec).get(Key.STALE), f"after {count} operations"
        rec.upsert_items([NEW], replace=True)
        point = stored(rec)
        assert fits(point) and not point.get(Key.STALE) and point.get(Key.SRC_HASH) == digests(NEW.title)
        assert point.payload["year"] == 2 and "gone" not in point.payload and point.get(Key.LEGS) == ["dense", "tfidf"]
        if not died[0]:
            break
    assert count == 4


def test_a_new_field_does_not_bring_back_a_text_that_was_edited_meanwhile(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    rec.upsert_items([OLD])
    whole = rec.client.batch_update_points

    def meanwhile(**arguments: Any) -> Any:
        monkeypatch.setattr(rec.client, "batch_update_points", whole)
        rec.upsert_items([NEW])
        return whole(**arguments)

    monkeypatch.setattr(rec.client, "batch_update_points", meanwhile)
    rec.upsert_items([OLD.model_copy(update={"payload": {"year": 3}})])
    point = stored(rec)
    assert (point.payload[Key.TITLE], point.payload["year"]) == (NEW.title, 3)
    assert fits(point) and point.get(Key.SRC_HASH) == digests(NEW.title)


# --- topics ---------------------------------------------------------------------------------------


@pytest.fixture
def with_topics(rec: Recommender) -> Recommender:
    words = ("space war rockets", "garden love roses")
    rec.upsert_items([Item(id=f"i{k}", title=f"{words[k % 2]} {k}") for k in range(30)])
    rec.fit_topics(2)
    return rec


def test_a_topic_renamed_halfway_ends_with_one_label(with_topics: Recommender) -> None:
    rec = with_topics
    topic = rec.topics()[0].id
    for count in range(10):
        died = killed_after(rec, count, lambda count=count: rec.rename_topic(topic, f"label {count}"))  # type: ignore[misc]
        rec.reconcile()
        label = next(one.label for one in rec.topics() if one.id == topic)
        shown = {str(item.payload[Key.TOPICS]) for page in store_of(rec).items.pages() for item in page
                 if topic in item.payload[Key.TOPIC_IDS]}  # fmt: skip
        assert shown == {str([label])}, f"after {count} operations"
        if not died:
            break
    assert count == 4 and label == "label 4"


def test_a_weight_is_not_deleted_with_a_user_without_events(with_topics: Recommender) -> None:
    """Whenever the reconciler looks while somebody without events steers."""
    rec = with_topics
    topic = rec.topics()[0].id
    names = ("retrieve", "batch_update_points", "get_aliases", "get_collections")
    whole = {name: getattr(rec.client, name) for name in names}
    for number in range(1, 40):
        seen = 0

        def look(name: str, number: int = number) -> Any:
            def call(**arguments: Any) -> Any:
                nonlocal seen
                seen += 1
                if seen == number:
                    for other, method in whole.items():
                        setattr(rec.client, other, method)
                    rec.reconcile()
                return whole[name](**arguments)

            return call

        for name in names:
            setattr(rec.client, name, look(name))
        rec.steer(f"u{number}", topic, 0.0)
        for name, method in whole.items():
            setattr(rec.client, name, method)
        rec.reconcile()
        (user,) = store_of(rec).users.retrieve([point_id("user", f"u{number}")])
        assert (user.payload[Key.STEER], user.get(Key.STALE)) == ({topic: 0.0}, False), f"call {number}"
        if seen < number:
            break
    assert number > 10


def test_a_weight_set_during_the_refresh_of_a_user_without_events_stays(
    with_topics: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    rec = with_topics
    topics = [topic.id for topic in rec.topics()]
    read, queue = refresh.read_events, rec._queue

    def meanwhile(space: Any, user: Point) -> Any:
        events = read(space, user)
        monkeypatch.setattr(refresh, "read_events", read)
        rec._queue = MemoryQueue()
        rec.steer("ann", topics[1], 0.0)
        rec._queue = queue
        return events

    rec._queue = MemoryQueue()
    rec.steer("ann", topics[0], 1.0)  # neutral: nothing that keeps the user
    rec._queue = queue
    monkeypatch.setattr(refresh, "read_events", meanwhile)
    rec.reconcile()
    (user,) = store_of(rec).users.retrieve([point_id("user", "ann")])
    assert user.payload[Key.STEER][topics[1]] == 0.0
