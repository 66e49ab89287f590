"""Stores events and marks their users."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from qdrant_client import models

from llmrec_qdrant.contracts.answers import Receipt, Rejected
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.entities import RATED, Event
from llmrec_qdrant.contracts.messages import RefreshUsers
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.batching import (
    POINTS_PER_REQUEST,
    add,
    batches,
    by_size,
    check_many,
    raise_rejected,
    read_all,
)
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.clock import iso
from llmrec_qdrant.operations.steps import Steps, notify
from llmrec_qdrant.operations.texts import put_unless_same, text_payload
from llmrec_qdrant.operations.versions import on_every_version
from llmrec_qdrant.space.conditions import NEVER, only
from llmrec_qdrant.space.ids import digest, point_id
from llmrec_qdrant.space.layout import FRESH, Key, Space, new_user
from llmrec_qdrant.space.points import new_point, set_payload

__all__ = ["USERS_PER_MESSAGE", "EventLike", "load", "mark_users", "marking", "store_events", "track"]

USERS_PER_MESSAGE = 64
"""Users per message: about a second of work, so that a killed worker loses little."""

SCALES = (5, 10, 100)
"""Highest ratings of the usual scales."""

EventLike = Event | Mapping[str, Any]


def track(bound: Bound, events: Iterable[EventLike]) -> Steps[Receipt]:
    """Store events, and ask workers to refresh the users' vectors.

    Raises :class:`PartlyRejected`, with the receipt, if some events were refused; the others are stored.
    """
    total = Receipt()
    for batch in batches(check_many(events), POINTS_PER_REQUEST):
        parsed, rejected = _read_all(bound.config, batch)
        receipt, users = yield from store_events(bound, parsed)
        messages = (RefreshUsers(space=bound.space.name, ids=ids) for ids in batches(users, USERS_PER_MESSAGE))
        queued = yield from notify(messages)
        total = add(total, receipt.model_copy(update={"rejected": rejected, "queued": queued}))
    raise_rejected(total, "events")
    return total


def load(bound: Bound, events: Sequence[Event]) -> Steps[Receipt]:
    """As :func:`track`, in one batch and without messages to workers."""
    parsed, rejected = _read_all(bound.config, list(check_many(events)))
    receipt, _ = yield from store_events(bound, parsed)
    receipt = receipt.model_copy(update={"rejected": rejected})
    raise_rejected(receipt, "events")
    return receipt


def _read_all(config: SpaceConfig, events: Sequence[EventLike]) -> tuple[list[Event], list[Rejected]]:
    """Read a batch; the advice on ratings off the scale covers all of them."""
    strays = set[float]()
    parsed, rejected = read_all(events, partial(_read, config, strays), "user")
    return read_all(events, partial(_read, config, strays), "user") if len(strays) > 1 else (parsed, rejected)


def _read(config: SpaceConfig, strays: set[float], value: EventLike) -> Event:
    """Read an event; a rating off the scale is added to ``strays``.

    Raises :class:`InvalidInput` if it cannot be read, or for a rating that is off the scale of the space.
    """
    event = Event.parse(value)
    low, high = config.rating_scale
    if event.type in RATED and event.value is not None and not low <= event.value <= high:
        strays.add(event.value)
        raise InvalidInput(
            f"Event: 'value': the rating {event.value:g} is off the scale of this space, {low:g} to {high:g}: "
            f"{_advice(event.value, strays, low, high)}"
        )
    return event


def _advice(value: float, strays: Iterable[float], low: float, high: float) -> str:
    """Advise the smallest usual scale that has room for all ``strays`` that may be ratings."""
    likely = [stray for stray in strays if 0 <= stray <= SCALES[-1]]
    fitting = next((top for top in SCALES if top >= max(likely, default=0) and top >= high), None)
    if fitting is None or value not in likely:
        return "correct it"
    bottom = 0 if fitting > high else min(low, *likely)
    unrated = " (if 0 means that nothing was rated, leave such events out)" if 0 in likely else ""
    return (
        f"if ratings go from {bottom:g} to {fitting:g}, run `llmrec init --rating-scale {bottom:g} {fitting:g}` or set "
        f"rating_scale=({bottom:g}, {fitting:g}) in the configuration, then load the file again{unrated}"
    )


def store_events(bound: Bound, events: Sequence[Event]) -> Steps[tuple[Receipt, list[str]]]:
    """Write one batch of events and their texts, and mark their users stale; returns the receipt and the users' point ids.

    Users are marked last: after a crash in between, an event is at worst not folded yet, and reconcile finds it.
    """
    total, users = Receipt(), dict[str, None]()
    for part in by_size(events, lambda event: len(event.text)):
        receipt, more = yield from _store_part(bound, part)
        total, users = add(total, receipt), users | dict.fromkeys(more)
    return total, list(users)


def _store_part(bound: Bound, events: Sequence[Event]) -> Steps[tuple[Receipt, list[str]]]:
    named = [(event.event_id, event) for event in events]
    ids = {point_id("event", name, bound.tenant): name for name, _ in named}
    latest = {point_id("event", name, bound.tenant): event for name, event in named}
    payloads = {point: _event_payload(bound, event, ids[point]) for point, event in latest.items()}
    texts = {
        point: text_payload(bound, event.user, point, event.text)
        for point, event in latest.items()
        if event.text.strip()
    }
    users = {bound.user_point(event.user): event.user for event in latest.values()}
    yield from put_unless_same(bound.space.events, payloads)
    yield from on_every_version(bound.space, partial(_store_texts_and_mark, bound, texts, users))
    return Receipt(written=len(latest), duplicates=len(events) - len(latest)), list(users)


def _store_texts_and_mark(
    bound: Bound, texts: Mapping[str, dict[str, Any]], users: Mapping[str, str], version: int
) -> Steps[None]:
    space = bound.space.at(version)
    yield from put_unless_same(space.texts, texts)
    yield from mark_users(space, bound.tenant, users)


def _event_payload(bound: Bound, event: Event, event_id: str) -> dict[str, Any]:
    values = {  # in reading order: who did what when
        Key.USER_ID: event.user,
        Key.TYPE: event.type,
        Key.ITEM_ID: event.item,
        Key.VALUE: event.value,
        Key.TEXT: event.text or None,
        Key.TS: iso(event.ts),
        Key.SESSION: event.session,
        Key.EVENT_ID: event_id,
        Key.TENANT: bound.owner,
    }
    stored = {key: value for key, value in values.items() if value is not None}
    source = digest(*(f"{key}={value}" for key, value in stored.items()))
    return {**stored, Key.FOLDED: False, Key.SRC_HASH: source}


def mark_users(space: Space, tenant: str | None, users: Mapping[str, str]) -> Steps[None]:
    """Create missing users (point id → user id) and mark all of them stale under a new revision."""
    yield from calls.update(space.users, marking(tenant, users))


def marking(tenant: str | None, users: Mapping[str, str], steer: Mapping[str, float] | None = None) -> list[Any]:
    """Operations of :func:`mark_users`; a user that they create begins with these weights of topics."""
    revision = uuid.uuid4().hex
    marks = {**FRESH, Key.REVISION: revision}
    first = {Key.STEER: dict(steer or {})}
    points = [new_point(point, new_user(name, tenant or "", revision) | first) for point, name in users.items()]
    insert = models.UpsertOperation(upsert=models.PointsList(points=points, update_filter=NEVER))
    return [insert, *set_payload(marks, only(*users))]
