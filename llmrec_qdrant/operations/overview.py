"""Reads what a report shows: items on the map, behaviour over time, interests and the state of the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from qdrant_client import models

from llmrec_qdrant.contracts.answers import Failure, Interest, SpaceStatus, Topic
from llmrec_qdrant.contracts.jobs import JobStatus
from llmrec_qdrant.errors import NotFound, show
from llmrec_qdrant.operations import calls, failures, jobs, status, topics
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.operations.recommend import recommend
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.query.options import ListOptions
from llmrec_qdrant.space.interests import read_interest
from llmrec_qdrant.space.layout import DENSE, CollectionKind, Key
from llmrec_qdrant.space.points import Point
from llmrec_qdrant.space.shapes import fault

__all__ = ["MappedItem", "Overview", "UserRow", "read_centroids", "read_item", "read_map", "read_overview"]

MAX_MAPPED = 10_000
"""Items on the map. Point ids are hashes, so the first ones by id are a random sample."""
MAX_ITEMS = 200_000
"""Items whose topic and popularity are read."""
MAX_EVENTS = 200_000
"""Events that are read."""
MAX_USERS = 20_000
"""Users who are read."""
POINTS_PER_PAGE = 1_000
"""Points per page of a scroll."""
MAX_LISTS = 100
"""Users whose lists are requested."""
MAX_JOBS = 50
"""Jobs that are listed."""


@dataclass(frozen=True)
class MappedItem:
    """An item as the report knows it; ``topic`` is an id, empty without one; ``vector`` has the shape (size,)."""

    id: str
    title: str
    topic: str
    popularity: float = 0.0
    embedded_at: str = ""
    vector: np.ndarray | None = None


@dataclass(frozen=True)
class UserRow:
    """A user as the report knows them."""

    id: str
    n_events: int
    updated_at: str
    interests: tuple[Interest, ...] = ()


@dataclass(frozen=True)
class Overview:
    """Everything that a report shows of a space. Large spaces are sampled."""

    space: str
    made_at: str
    status: SpaceStatus
    topics: Sequence[Topic]
    centroids: dict[str, np.ndarray]
    """Id of a topic → its centroid (size,)."""
    items: Sequence[MappedItem]
    events: Sequence[tuple[str, str]] = ()
    """Item and time (ISO 8601) of each event about an item."""
    users: Sequence[UserRow] = ()
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """User → items of the list that they get now, for a sample of the users with interests."""
    failures: Sequence[Failure] = ()
    jobs: Sequence[JobStatus] = field(default_factory=tuple)


def read_overview(bound: Bound) -> Steps[Overview]:
    """Read everything that a report shows."""
    counted = yield from status.status(bound)
    mapped = yield from _items(bound, MAX_MAPPED, with_vectors=True)
    users = yield from _users(bound)
    all_items = mapped
    if counted.items > len(mapped):
        all_items = mapped + (yield from _items(bound, MAX_ITEMS, with_vectors=False))[len(mapped) :]
    return Overview(
        space=bound.space.name,
        made_at=now(),
        status=counted,
        topics=(yield from topics.list_topics(bound)),
        centroids=(yield from read_centroids(bound)),
        items=all_items,
        events=(yield from _events(bound)),
        users=users,
        lists=(yield from _lists(bound, users)),
        failures=(yield from failures.list_failures(bound)),
        jobs=(yield from jobs.list_jobs(bound.space, MAX_JOBS)) if bound.tenant is None else (),
    )


def read_map(bound: Bound) -> Steps[Overview]:
    """Read only what the map of topics shows."""
    return Overview(
        space=bound.space.name,
        made_at=now(),
        status=(yield from status.status(bound)),
        topics=(yield from topics.list_topics(bound)),
        centroids=(yield from read_centroids(bound)),
        items=(yield from _items(bound, MAX_MAPPED, with_vectors=True)),
    )


def read_centroids(bound: Bound) -> Steps[dict[str, np.ndarray]]:
    """Return id of a topic → centroid, of those that have one."""
    points = yield from _scrolled(bound, "topics", [Key.TOPIC_ID], MAX_ITEMS, vectors=[DENSE])
    vectors = {point.payload[Key.TOPIC_ID]: point.dense(DENSE) for point in points}
    return {topic: np.asarray(vector, dtype=np.float32) for topic, vector in vectors.items() if vector is not None}


def read_item(bound: Bound, item: str) -> Steps[MappedItem]:
    """Return one item with its vector.

    Raises :class:`NotFound` for an unknown item and one that has no dense vector.
    """
    points = yield from calls.retrieve(bound.space.items, [bound.item_point(item)], list(_ITEM_KEYS), [DENSE])
    if not points or points[0].dense(DENSE) is None:
        state = "is not encoded: it waits for a worker or has no text" if points else "does not exist"
        raise NotFound(f"item {show(item)} of space {bound.space.name!r} {state}")
    said = fault("items", points[0].payload, _ITEM_KEYS)
    if said:
        raise NotFound(f"item {show(item)} of space {bound.space.name!r} is malformed: {said}")
    return _item(points[0])


_ITEM_KEYS = (Key.ITEM_ID, Key.TITLE, Key.TOPIC_IDS, Key.POPULARITY, Key.EMBEDDED_AT)


def _items(bound: Bound, limit: int, *, with_vectors: bool) -> Steps[list[MappedItem]]:
    points = yield from _scrolled(bound, "items", _ITEM_KEYS, limit, vectors=[DENSE] if with_vectors else [])
    return [_item(point) for point in points]


def _item(point: Point) -> MappedItem:
    vector = point.dense(DENSE)
    return MappedItem(
        id=str(point.get(Key.ITEM_ID, "")),
        title=str(point.get(Key.TITLE, "")),
        topic=next(iter(point.get(Key.TOPIC_IDS, [])), ""),
        popularity=float(point.get(Key.POPULARITY, 0.0)),
        embedded_at=str(point.get(Key.EMBEDDED_AT, "")),
        vector=None if vector is None else np.asarray(vector, dtype=np.float32),
    )


def _events(bound: Bound) -> Steps[list[tuple[str, str]]]:
    points = yield from _scrolled(bound, "events", [Key.ITEM_ID, Key.TS], MAX_EVENTS)
    return [(point.payload[Key.ITEM_ID], point.payload[Key.TS]) for point in points if point.get(Key.ITEM_ID)]


def _users(bound: Bound) -> Steps[list[UserRow]]:
    keys = [Key.USER_ID, Key.N_EVENTS, Key.UPDATED_AT, Key.INTERESTS]
    points = yield from _scrolled(bound, "users", keys, MAX_USERS)
    return [
        UserRow(
            str(point.get(Key.USER_ID, "")),
            int(point.get(Key.N_EVENTS, 0)),
            str(point.get(Key.UPDATED_AT, "")),
            tuple(read_interest(stored) for stored in point.get(Key.INTERESTS, [])),
        )
        for point in points
    ]


def _lists(bound: Bound, users: Sequence[UserRow]) -> Steps[dict[str, list[str]]]:
    """Return user → listed items. Users come by the hashes of their ids, so the first ones are a random sample."""
    lists: dict[str, list[str]] = {}
    for user in [user for user in users if user.interests][:MAX_LISTS]:
        listed = yield from recommend(bound, user.id, ListOptions(), True)
        if listed:
            lists[user.id] = [item.id for item in listed]
    return lists


def _scrolled(
    bound: Bound, kind: CollectionKind, keys: Sequence[str], limit: int, vectors: Sequence[str] = ()
) -> Steps[list[Point]]:
    """Return the first ``limit`` points that the operation may see, by point id."""
    mine: models.Filter | None = bound.mine
    points: list[Point] = []
    offset = None
    while len(points) < limit:
        size = min(POINTS_PER_PAGE, limit - len(points))
        page, offset = yield from calls.scroll(
            bound.space.collection(kind), mine, limit=size, offset=offset, payload=list(keys), vectors=list(vectors) or False
        )  # fmt: skip
        points += page
        if offset is None:
            break
    return [point for point in points if not fault(kind, point.payload, keys)]
