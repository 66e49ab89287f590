"""Who is tried together, who alone, and who is set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from llmrec_qdrant import Recommender, SpaceConfig
from llmrec_qdrant.errors import QdrantUnavailable
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import FRESH, Key
from llmrec_qdrant.space.points import Point, new_point
from tests.spaces import space_on, store_of
from workers.storage.attempts import MAX_SOLO_TRIES, WORKER_DIED, attempt
from workers.storage.store import Store


@pytest.fixture(params=["local"])
def items(request: pytest.FixtureRequest) -> Iterator[Store]:
    with space_on(request, SpaceConfig(model="hash", size=4)) as rec:
        yield filled(rec)


def filled(rec: Recommender) -> Store:
    """Three stale items."""
    store = store_of(rec).items
    points = [
        new_point(point_id("item", name), {Key.ITEM_ID: name, Key.SRC_HASH: f"{name} v1", **FRESH}) for name in "abc"
    ]
    store.upsert(points)
    return store


def stale(store: Store) -> list[Point]:
    return [point for page in store.pages(conditions.where(conditions.stale())) for point in page]


def names(points: list[Point]) -> str:
    return "".join(sorted(point.payload[Key.ITEM_ID] for point in points))


def worker(store: Store, groups: list[str], poison: Callable[[str], None]) -> Callable[[list[Point]], None]:
    """Notes each group; ``poison`` may refuse it; what passes is no longer stale."""

    def work(points: list[Point]) -> None:
        groups.append(names(points))
        poison(names(points))
        store.set_payload({Key.STALE: False, Key.ATTEMPTS: 0}, conditions.unchanged(points, Key.SRC_HASH))

    return work


def refuse_b(group: str) -> None:
    if "b" in group:
        raise ValueError("poison")


def test_the_guilty_one_is_set_aside_and_no_other(items: Store) -> None:
    groups: list[str] = []
    work = worker(items, groups, refuse_b)
    rounds = 0
    while again := attempt(items, stale(items), Key.SRC_HASH, work):
        rounds += 1
        assert point_id("item", "b") in again
    assert groups[0] == "abc"
    assert sorted(groups[1:]) == ["a"] + ["b"] * MAX_SOLO_TRIES + ["c"]
    (point,) = items.retrieve([point_id("item", "b")])
    assert point.payload[Key.SET_ASIDE] is True and point.payload[Key.STALE] is False
    assert point.payload[Key.SET_ASIDE_WHY].startswith("ValueError: poison (in ")
    assert "refuse_b" in point.payload[Key.SET_ASIDE_WHY]
    others = items.retrieve([point_id("item", name) for name in "ac"])
    assert not any(point.get(Key.SET_ASIDE) or point.get(Key.STALE) for point in others)


def test_the_death_of_the_process_counts_as_a_try(items: Store) -> None:
    def die(group: str) -> None:
        if "b" in group:
            raise KeyboardInterrupt  # nothing catches it, as nothing catches a kill

    groups: list[str] = []
    for _ in range(MAX_SOLO_TRIES + 2):
        points = sorted(stale(items), key=lambda point: str(point.payload[Key.ITEM_ID]))
        try:
            attempt(items, points, Key.SRC_HASH, worker(items, groups, die))
        except KeyboardInterrupt:
            continue
    assert groups == ["abc", "a", "b", "c", "b", "b"]
    (point,) = items.retrieve([point_id("item", "b")])
    assert (point.payload[Key.SET_ASIDE], point.payload[Key.SET_ASIDE_WHY]) == (True, WORKER_DIED)
    assert not stale(items)


def test_no_point_is_to_blame_for_an_absent_service(items: Store) -> None:
    def away(group: str) -> None:
        raise QdrantUnavailable("away")

    with pytest.raises(QdrantUnavailable):
        attempt(items, stale(items), Key.SRC_HASH, worker(items, [], away))
    assert not any(point.get(Key.SET_ASIDE) for page in items.pages() for point in page)


def test_an_edit_during_the_work_is_another_chance(items: Store) -> None:
    """The record of a failed try goes to the source that failed, not to the new one."""
    edited = point_id("item", "b")

    def edit(group: str) -> None:
        items.set_payload({Key.SRC_HASH: "b v2", **FRESH}, conditions.only(edited))
        raise ValueError("poison")

    items.set_payload({Key.ATTEMPTS: MAX_SOLO_TRIES}, conditions.only(edited))
    points = [point for point in stale(items) if point.id == edited]
    attempt(items, points, Key.SRC_HASH, worker(items, [], edit))
    (point,) = items.retrieve([edited])
    assert point.payload[Key.STALE] is True and not point.get(Key.SET_ASIDE) and point.payload[Key.ATTEMPTS] == 0


def test_points_tried_alone_come_in_the_order_of_their_tries(items: Store) -> None:
    for name, tries in {"a": 3, "b": 1, "c": 2}.items():
        items.set_payload({Key.ATTEMPTS: tries}, conditions.only(point_id("item", name)))
    groups: list[str] = []
    assert attempt(items, stale(items), Key.SRC_HASH, worker(items, groups, lambda group: None)) == []
    assert groups == ["b", "c", "a"]
