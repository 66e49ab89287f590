"""Operations on topics and interests: list, rename, steer, shelves. Workers find them; here they are read and set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from qdrant_client import models

from llmrec_qdrant.contracts.answers import MAX_BOOST, MAX_BOOSTED, Interest, Seen, Shelf
from llmrec_qdrant.contracts.config import LEGS
from llmrec_qdrant.contracts.messages import RefreshUsers
from llmrec_qdrant.errors import InvalidInput, show
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.events import mark_users
from llmrec_qdrant.operations.steps import Steps, call, notify
from llmrec_qdrant.operations.topics import _is, _known
from llmrec_qdrant.operations.versions import on_every_version
from llmrec_qdrant.query import requests as query_requests
from llmrec_qdrant.query import results
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.space.conditions import all_of, only
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.interests import read_interest
from llmrec_qdrant.space.layout import DENSE, INTERESTS, Key

__all__ = ["interests_of", "shelves", "steer"]


def interests_of(bound: Bound, user: str) -> Steps[list[Interest]]:
    """What a user cares about, strongest first; muted topics last. Empty: nothing is known yet."""
    payload, _ = yield from _look_up(bound, user, False)
    return (yield from _with_labels(bound, payload))


def _look_up(bound: Bound, user: str, vectors: bool) -> Steps[tuple[dict[str, Any], Any]]:
    found = yield from call(
        "retrieve", collection_name=bound.space.users, ids=[point_id("user", user, bound.tenant)],
        with_payload=[Key.INTERESTS, Key.STEER, Key.LEGS, Key.SEEN, Key.LAST],
        with_vectors=[INTERESTS] if vectors else False,
    )  # fmt: skip
    if not found:
        return {}, None
    vector = found[0].vector
    return found[0].payload or {}, vector.get(INTERESTS) if isinstance(vector, dict) else None


def _with_labels(bound: Bound, payload: dict[str, Any]) -> Steps[list[Interest]]:
    """Interests as stored, with the labels of now and what the user set."""
    steering = payload.get(Key.STEER) or {}
    stored = [read_interest(one) for one in payload.get(Key.INTERESTS) or []]
    if not stored:
        return []
    points = [point_id("topic", one.topic) for one in stored]
    topics = yield from call(
        "retrieve", collection_name=bound.space.topics, ids=points, with_payload=[Key.TOPIC_ID, Key.LABEL]
    )
    labels = {record.payload[Key.TOPIC_ID]: record.payload[Key.LABEL] for record in topics}
    current = [
        one.model_copy(update={"label": labels[one.topic], "steer": float(steering.get(one.topic, 1.0))})
        for one in stored
        if one.topic in labels
    ]
    return sorted(current, key=lambda one: one.steer == 0)


def titles(bound: Bound, ids: Sequence[str]) -> Steps[dict[str, str]]:
    """Titles of items that exist and have one."""
    found = yield from call(
        "retrieve", collection_name=bound.space.items, ids=[point_id("item", one, bound.tenant) for one in ids],
        with_payload=[Key.ITEM_ID, Key.TITLE],
    )  # fmt: skip
    return {record.payload[Key.ITEM_ID]: record.payload[Key.TITLE] for record in found if record.payload[Key.TITLE]}


def steer(bound: Bound, user: str, topic: str, weight: float) -> Steps[list[Interest]]:
    """Store with a user how much of a topic to recommend; 1 takes it back. Returns the user's interests.

    Raises :class:`NotFound` for an unknown topic, :class:`InvalidInput` for one boosted topic too many.
    """
    number: object = weight
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= MAX_BOOST:
        raise InvalidInput(f"a weight lies between 0 (muted) and {MAX_BOOST:g}, 1 is neutral, not {show(number)}")
    found = yield from _known(bound, topic)
    point = point_id("user", user, bound.tenant)
    there = yield from call("retrieve", collection_name=bound.space.users, ids=[point], with_payload=[Key.STEER])
    steering: dict[str, float] = ((there[0].payload or {}).get(Key.STEER) or {}) if there else {}
    boosted = [one for one, value in steering.items() if value > 1 and one != found.id]
    if number > 1 and len(boosted) >= MAX_BOOSTED:
        raise InvalidInput(f"{user!r} boosts {MAX_BOOSTED} topics already: take one back first, with weight 1")
    yield from on_every_version(bound.space, partial(_steer_at, bound, user, point, {found.id: float(number)}))
    if not there:  # a user without events: a worker says that there is nothing more to know
        yield from notify([RefreshUsers(space=bound.space.name, ids=[point])])
    return (yield from interests_of(bound, user))


def _steer_at(bound: Bound, user: str, point: str, weight: dict[str, float], version: int) -> Steps[None]:
    """The weight of one topic alone: of two who steer at once none undoes what the other did."""
    space = bound.space.at(version)
    there = yield from call("retrieve", collection_name=space.users, ids=[point], with_payload=False)
    if not there:
        yield from mark_users(space, bound.tenant, {point: user})
    yield from call(
        "set_payload", collection_name=space.users, payload=weight, key=Key.STEER, points=only(point), wait=True
    )


def shelves(bound: Bound, user: str, rows: int, limit: int, exclude_seen: Seen) -> Steps[list[Shelf]]:
    """One row per interest that is not muted: the user's legs within the topic, all rows in one batched request.

    The dense leg asks for the interest's own vector instead of the mean of all. An item stands in one row.
    """
    query_requests.check_limit(limit)
    query_requests.check_limit(rows)
    query_requests.check_seen(exclude_seen)
    payload, vectors = yield from _look_up(bound, user, True)
    cares = yield from _with_labels(bound, payload)
    stored = [one["topic"] for one in payload.get(Key.INTERESTS) or []]
    cares = sorted((one for one in cares if one.steer > 0), key=lambda one: -one.weight * one.steer)[:rows]
    if not cares:
        return []
    legs = [leg for leg in LEGS if leg in (payload.get(Key.LEGS) or []) and bound.config.weights.get(leg, 0) > 0]
    point = point_id("user", user, bound.tenant)
    out = query_requests.left_out(payload.get(Key.SEEN) or [], payload.get(Key.LAST), exclude_seen)
    seen = [point_id("item", one, bound.tenant) for one in out]
    requests = []
    for one in cares:
        asked = [LegQuery(leg, point, bound.space.users) for leg in legs]
        if vectors and one.topic in stored[: len(vectors)]:
            row = LegQuery(DENSE, models.NearestQuery(nearest=list(vectors[stored.index(one.topic)])))
            asked = [row if leg.leg == DENSE else leg for leg in asked]
        inside = all_of(
            query_requests.combined(bound.tenant, None, seen), models.Filter(must=[_is(Key.TOPIC_IDS, one.topic)])
        )
        requests.append(
            query_requests.fused(
                asked, weights=bound.config.weights, filter=inside, limit=limit, depth=bound.config.prefetch
            )
            if asked
            else query_requests.top(inside, limit)
        )
    answers = yield from call("query_batch_points", collection_name=bound.space.items, requests=requests)
    return _shelves(cares, [answer.points for answer in answers])


def _shelves(cares: Sequence[Interest], found: Sequence[Sequence[models.ScoredPoint]]) -> list[Shelf]:
    rows: list[Shelf] = []
    for interest, points in zip(cares, found, strict=True):
        items = results.recommendations(points)
        if items:
            rows.append(Shelf(interest=interest, title=f"Because you follow {interest.label}", items=items))
    return rows
