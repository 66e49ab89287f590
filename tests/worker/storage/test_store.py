"""The store: typed reads and guarded writes, on embedded Qdrant and on a server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from qdrant_client import models

from llmrec_qdrant import Item, Recommender, SpaceConfig, SpaceNotFound
from llmrec_qdrant.errors import NotFound, QdrantUnavailable
from llmrec_qdrant.operations.reembed import VersionState, make_version
from llmrec_qdrant.operations.switching import drop as drop_version
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import DENSE, TFIDF, Key, Space
from llmrec_qdrant.space.points import new_point
from llmrec_qdrant.testing import MemoryQueue
from tests.spaces import EITHER, space_on, store_of
from workers.storage import store as store_module
from workers.storage.store import SpaceStore, Store, spaces

CONFIG = SpaceConfig(model="hash", size=4)
EAST = [1.0, 0.0, 0.0, 0.0]
NORTH = [0.0, 1.0, 0.0, 0.0]
HASH, TERMS = Key.SRC_HASH, Key.TERMS


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, CONFIG) as rec:
        rec._queue = MemoryQueue()
        yield rec


@pytest.fixture
def items(rec: Recommender) -> Store:
    """Three items without vectors: ``a``, ``b`` and ``c``, whose source is ``v1``."""
    store = store_of(rec).items
    store.upsert([new_point(_id(name), {Key.ITEM_ID: name, HASH: f"{name} v1", Key.STALE: True}) for name in "abc"])
    return store


def _id(name: str) -> str:
    return point_id("item", name)


def contents(store: Store) -> dict[str, tuple[list[float] | None, Any]]:
    """Dense vector and terms of each item."""
    points = (point for page in store.pages(vectors=[DENSE]) for point in page)
    return {point.payload[Key.ITEM_ID]: (point.dense(DENSE), point.get(TERMS)) for point in points}


def test_vectors_are_written_and_missing_points_are_passed_over(items: Store) -> None:
    items.write_existing({_id("a"): {DENSE: EAST}, _id("gone"): {DENSE: EAST}, _id("b"): {DENSE: NORTH}})
    assert contents(items) == {"a": (EAST, None), "b": (NORTH, None), "c": (None, None)}


def test_only_missing_points_write_nothing_and_what_follows_is_still_written(items: Store) -> None:
    items.write_existing({_id("gone"): {DENSE: EAST}}, then=[({TERMS: ["x"]}, conditions.only(_id("c")))])
    assert contents(items) == {"a": (None, None), "b": (None, None), "c": (None, ["x"])}


def test_a_guard_keeps_points_whose_source_has_changed(items: Store) -> None:
    read = items.retrieve([_id("a"), _id("b")])
    items.set_payload({HASH: "b v2"}, conditions.only(_id("b")))
    guard = conditions.unchanged(read, HASH)
    items.write_existing({_id("a"): {DENSE: EAST}, _id("b"): {DENSE: EAST}}, guard, then=[({TERMS: ["old"]}, guard)])
    assert contents(items) == {"a": (EAST, ["old"]), "b": (None, None), "c": (None, None)}


def test_earlier_and_later_values_arrive_in_that_order(items: Store) -> None:
    which = conditions.only(_id("a"))
    items.write_existing(
        {_id("a"): {DENSE: EAST}},
        before=[({TERMS: ["before"], Key.TITLE: "kept"}, which)],
        then=[({TERMS: ["then"]}, which)],
    )
    (point,) = items.retrieve([_id("a")])
    assert point.payload[TERMS] == ["then"] and point.payload[Key.TITLE] == "kept"


def test_a_point_deleted_during_the_write_does_not_come_back(items: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A point disappears before the write, and on a server, which refuses it, another before the rest is sent again."""
    client = items._client
    real, dying, left = client.batch_update_points, iter("ab"), set("abc")

    def write(*args: Any, **kwargs: Any) -> Any:
        if (name := next(dying, None)) is not None:
            client.delete(items.collection, models.PointIdsList(points=[_id(name)]))
            left.remove(name)
        return real(*args, **kwargs)

    monkeypatch.setattr(client, "batch_update_points", write)
    items.write_existing({_id(name): {DENSE: EAST} for name in "abc"})
    assert contents(items) == dict.fromkeys(left, (EAST, None)) and left <= {"b", "c"}


def test_nothing_to_write_sends_nothing(items: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items._client, "batch_update_points", lambda *args, **kwargs: 1 / 0)
    items.write_existing({})
    items.update([])


def test_a_qdrant_that_stays_away_ends_the_write(items: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    tries: list[int] = []

    def away(*args: Any, **kwargs: Any) -> Any:
        tries.append(1)
        raise QdrantUnavailable("away")

    monkeypatch.setattr(items._client, "batch_update_points", away)
    monkeypatch.setattr(time, "sleep", waits.append)
    with pytest.raises(QdrantUnavailable):
        items.write_existing({_id("a"): {DENSE: EAST}})
    assert len(tries) == store_module.MAX_WRITE_TRIES == len(waits) + 1
    assert sum(waits) < 8


def test_a_qdrant_that_misses_something_else_ends_the_write(items: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def missing(*args: Any, **kwargs: Any) -> Any:
        tries.append(1)
        raise NotFound("a shard key")

    monkeypatch.setattr(items._client, "batch_update_points", missing)
    with pytest.raises(NotFound, match="a shard key"):
        items.write_existing({_id("a"): {DENSE: EAST}, _id("gone"): {DENSE: EAST}})
    assert len(tries) == 2


def test_a_qdrant_that_is_away_while_missing_points_are_looked_for_is_waited_for(
    items: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, failures = items._client.retrieve, [QdrantUnavailable("away"), QdrantUnavailable("away")]

    def retrieve(*args: Any, **kwargs: Any) -> Any:
        if failures:
            raise failures.pop()
        return whole(*args, **kwargs)

    monkeypatch.setattr(items._client, "retrieve", retrieve)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    items.write_existing({_id("a"): {DENSE: EAST}, _id("gone"): {DENSE: EAST}})
    assert not failures and items.retrieve([_id("a")], vectors=[DENSE])[0].dense(DENSE) is not None


def test_pages_hold_what_stays_while_points_are_deleted(items: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even the point at which the next page would begin."""
    monkeypatch.setattr(store_module, "POINTS_PER_PAGE", 1)
    first, second, third = sorted(_id(name) for name in "abc")
    pages = items.pages(payload=False)
    assert [point.id for point in next(pages)] == [first]
    items.delete(conditions.only(second))
    assert [point.id for page in pages for point in page] == [third]


def test_pages_hold_every_matching_point_once(items: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "POINTS_PER_PAGE", 2)
    assert [len(page) for page in items.pages()] == [2, 1]
    assert sorted(point.payload[Key.ITEM_ID] for page in items.pages() for point in page) == ["a", "b", "c"]
    one = conditions.where(conditions.equals(Key.ITEM_ID, "b"))
    assert [[point.id for point in page] for page in items.pages(one)] == [[_id("b")]]
    assert list(items.pages(conditions.where(conditions.equals(Key.ITEM_ID, "nobody")))) == []
    assert items.count() == 3 and items.count(one) == 1


def test_vectors_can_be_deleted_by_a_filter(items: Store) -> None:
    words = models.SparseVector(indices=[1], values=[1.0])
    items.write_existing({_id("a"): {DENSE: EAST, TFIDF: words}})
    items.delete_vectors([DENSE], conditions.only(_id("a"), _id("gone")))
    (point,) = items.retrieve([_id("a")], vectors=[DENSE, TFIDF])
    assert point.dense(DENSE) is None and point.sparse(TFIDF) is not None


def test_metadata_keys_are_set_one_by_one(items: Store) -> None:
    items.update_metadata({"mine": 1})
    assert items.metadata()["mine"] == 1 and items.metadata()["llmrec"]


def test_versions_begin_with_the_live_one(rec: Recommender) -> None:
    space = store_of(rec)
    assert [version.space.version for version in space.versions()] == [1]
    wider = CONFIG.model_copy(update={"size": 8})
    space.run(make_version(rec._space, 2, wider, VersionState(job="j")))
    live, other = space.versions()
    assert (live.space, other.space) == (rec._space.at(1), rec._space.at(2))
    assert (live.config().size, other.config().size, space.config().size) == (4, 8, 4)
    assert other.items.collection.endswith("_items_v2") and other.events.collection == space.events.collection
    space.run(drop_version(rec._space, 2))


def test_a_missing_space_says_so(rec: Recommender) -> None:
    missing = SpaceStore(rec.client, Space("never"))
    with pytest.raises(SpaceNotFound, match="never"):
        missing.versions()
    with pytest.raises(SpaceNotFound, match="never"):
        missing.config()


def test_every_space_of_a_qdrant_is_found(rec: Recommender) -> None:
    rec.upsert_items([Item(id="a", title="x")])
    assert rec.space in [space.name for space in spaces(rec.client)]
