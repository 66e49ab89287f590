"""TODO: llmrec_qdrant.operations.events."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from qdrant_client import models

from llmrec_qdrant.contracts.answers import Receipt
from llmrec_qdrant.contracts.entities import Event
from llmrec_qdrant.contracts.messages import RefreshUsers
from llmrec_qdrant.operations.batching import BATCH, _refuse, add, batches, by_size, many, read_all
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.clock import iso
from llmrec_qdrant.operations.items import _delete
from llmrec_qdrant.operations.steps import Steps, call, notify
from llmrec_qdrant.operations.texts import _put_unless_same, _text_payload
from llmrec_qdrant.operations.versions import on_every_version
from llmrec_qdrant.space.conditions import NEVER, only
from llmrec_qdrant.space.ids import digest, point_id
from llmrec_qdrant.space.layout import FRESH, Key, Space

__all__ = ["mark_users", "store_events", "track"]


MESSAGE = 64
"""Users per message: a unit of work of about a second, so that a kill costs little."""


EventLike = Event | Mapping[str, Any]


def track(bound: Bound, given: Iterable[EventLike]) -> Steps[Receipt]:
    """Store events and ask for their users' vectors to be refreshed.

    Raises :class:`PartlyRejected`, with the receipt, if some were refused; the others are stored.
    """
    total = Receipt()
    for batch in batches(many(given), BATCH):
        events, rejected = read_all(batch, Event.parse, "user")
        done, users = yield from store_events(bound, events)
        queued = yield from notify(RefreshUsers(space=bound.space.name, ids=ids) for ids in batches(users, MESSAGE))
        total = add(total, done.model_copy(update={"rejected": rejected, "queued": queued}))
    _refuse(total, "events")
    return total


def store_events(bound: Bound, events: Sequence[Event]) -> Steps[tuple[Receipt, list[str]]]:
    """Write one batch of events, their texts, and mark their users; returns the receipt and the users' point ids.

    In this order, so that after a crash in between an event is at worst not folded yet, which reconcile sees.
    """
    total, users = Receipt(), dict[str, None]()
    for part in by_size(events, lambda event: len(event.text)):
        receipt, more = yield from _store_events(bound, part)
        total, users = add(total, receipt), users | dict.fromkeys(more)
    return total, list(users)


def _store_events(bound: Bound, events: Sequence[Event]) -> Steps[tuple[Receipt, list[str]]]:
    latest = {point_id("event", event.event_id, bound.tenant): event for event in events}
    payloads = {point: _event_payload(bound, event) for point, event in latest.items()}
    texts = {
        point: _text_payload(bound, event.user, point, event.text)
        for point, event in latest.items()
        if event.text.strip()
    }
    users = {point_id("user", event.user, bound.tenant): event.user for event in latest.values()}
    yield from _put_unless_same(bound.space.events, payloads)
    yield from on_every_version(bound.space, partial(_store_texts_and_mark, bound, texts, users))
    return Receipt(written=len(latest), duplicates=len(events) - len(latest)), list(users)


def _store_texts_and_mark(
    bound: Bound, texts: Mapping[str, dict[str, Any]], users: Mapping[str, str], version: int
) -> Steps[None]:
    space = bound.space.at(version)
    yield from _put_unless_same(space.texts, texts)
    yield from mark_users(space, bound.tenant, users)


def _event_payload(bound: Bound, event: Event) -> dict[str, Any]:
    fields = {
        Key.EVENT_ID: event.event_id,
        Key.USER_ID: event.user,
        Key.TENANT: bound.tenant or "",
        Key.ITEM_ID: event.item,
        Key.TYPE: event.type,
        Key.VALUE: event.value,
        Key.TEXT: event.text or None,
        Key.TS: iso(event.ts),
        Key.SESSION: event.session,
    }
    kept = {key: value for key, value in fields.items() if value is not None}
    return {**kept, Key.FOLDED: False, Key.SRC_HASH: digest(*(f"{key}={value}" for key, value in kept.items()))}


def mark_users(space: Space, tenant: str | None, users: Mapping[str, str]) -> Steps[None]:
    """Make missing users and mark all of them stale under a new revision."""
    revision = uuid.uuid4().hex
    start = {Key.TENANT: tenant or "", **FRESH, Key.REVISION: revision, Key.LEGS: [], Key.SEEN: [], Key.N_EVENTS: 0}
    points = [
        models.PointStruct(id=point, vector={}, payload={Key.USER_ID: name, **start}) for point, name in users.items()
    ]
    mark = models.SetPayload(payload={**FRESH, Key.REVISION: revision}, filter=only(*users))
    yield from call(
        "batch_update_points",
        collection_name=space.users,
        update_operations=[
            models.UpsertOperation(upsert=models.PointsList(points=points, update_filter=NEVER)),
            models.SetPayloadOperation(set_payload=mark),
        ],
        wait=True,
    )


def forget_user(bound: Bound, user: str) -> Steps[int]:
    """Delete a user with all events and texts; returns how many events there were.

    Qdrant keeps deleted data in its storage files until they are rewritten: see docs/operations.md.
    """
    point = point_id("user", user, bound.tenant)
    conditions: list[Any] = [
        models.FieldCondition(key=Key.USER_ID, match=models.MatchValue(value=user)),
        models.FieldCondition(key=Key.TENANT, match=models.MatchValue(value=bound.tenant or "")),
    ]
    mine = models.Filter(must=conditions)
    counted = yield from call("count", collection_name=bound.space.events, count_filter=mine, exact=True)
    yield from _delete(bound.space.events, models.FilterSelector(filter=mine))
    yield from on_every_version(bound.space, partial(_forget_at, bound, mine, point))
    total: int = counted.count
    return total


def _forget_at(bound: Bound, mine: models.Filter, user: str, version: int) -> Steps[None]:
    space = bound.space.at(version)
    yield from _delete(space.texts, models.FilterSelector(filter=mine))
    yield from _delete(space.users, models.PointIdsList(points=[user]))
