"""Reads back what is stored: items, users and their events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qdrant_client import models

from llmrec_qdrant.contracts.checks import external_id
from llmrec_qdrant.contracts.entities import Event, Item
from llmrec_qdrant.errors import InvalidInput, show
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.batching import POINTS_PER_REQUEST, batches
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.calls import Offset
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.undeclared import say_kind
from llmrec_qdrant.query.filters import FilterLike, parse_filter
from llmrec_qdrant.query.requests import combined
from llmrec_qdrant.space.conditions import equals, where
from llmrec_qdrant.space.layout import Key, own_fields
from llmrec_qdrant.space.points import Point

__all__ = ["MAX_EVENTS", "events_of", "get_items", "page_of_items", "page_of_users"]

MAX_EVENTS = 10_000
"""Events of one user in one list."""


def get_items(bound: Bound, items: Iterable[str]) -> Steps[list[Item]]:
    """Return the stored items with these ids, in this order; ids without an item are left out."""
    listed: list[Item] = []
    for batch in batches(bound.item_points(items), POINTS_PER_REQUEST):
        stored = {point.id: point for point in (yield from calls.retrieve(bound.space.items, batch))}
        listed += [_item(stored[point]) for point in batch if point in stored]
    return listed


@say_kind
def page_of_items(bound: Bound, filter: FilterLike | None, offset: Offset = None) -> Steps[tuple[list[Item], Offset]]:
    """Return one page of the items that match, in no particular order, and the offset of the next page."""
    condition = combined(bound.tenant, parse_filter(filter, bound.config))
    page, following = yield from calls.scroll(bound.space.items, condition, limit=POINTS_PER_REQUEST, offset=offset)
    return [_item(point) for point in page], following


def page_of_users(bound: Bound, offset: Offset = None) -> Steps[tuple[list[str], Offset]]:
    """Return one page of the ids of the tenant's users, in no particular order, and the offset of the next page."""
    page, following = yield from calls.scroll(
        bound.space.users,
        where(equals(Key.TENANT, bound.owner)),
        limit=POINTS_PER_REQUEST,
        offset=offset,
        payload=[Key.USER_ID],
    )
    return [str(point.get(Key.USER_ID)) for point in page], following


def events_of(bound: Bound, user: str, limit: int) -> Steps[list[Event]]:
    """Return the latest events of a user, newest first."""
    if type(limit) is not int or not 1 <= limit <= MAX_EVENTS:
        raise InvalidInput(f"limit must be a whole number from 1 to {MAX_EVENTS:,}, not {show(limit)}")
    theirs = where(equals(Key.USER_ID, external_id(user)), equals(Key.TENANT, bound.owner))
    newest = models.OrderBy(key=Key.TS, direction=models.Direction.DESC)
    page, _ = yield from calls.scroll(bound.space.events, theirs, limit=limit, order_by=newest)
    return sorted((_event(point) for point in page), key=lambda event: (event.ts, event.event_id), reverse=True)


def _item(point: Point) -> Item:
    """Return a stored item, without checking again what was checked when it was stored."""
    return Item.model_construct(
        id=point.get(Key.ITEM_ID, ""),
        title=point.get(Key.TITLE, ""),
        text=point.get(Key.TEXT, ""),
        payload=own_fields(point.payload),
        tenant=point.get(Key.TENANT) or None,
    )


def _event(point: Point) -> Event:
    optional: dict[str, Any] = {
        "item": point.get(Key.ITEM_ID), "value": point.get(Key.VALUE), "session": point.get(Key.SESSION),
    }  # fmt: skip
    return Event(
        user=point.get(Key.USER_ID, ""),
        type=point.get(Key.TYPE, ""),
        text=point.get(Key.TEXT, ""),
        ts=point.payload[Key.TS],
        id=point.get(Key.EVENT_ID),
        **optional,
    )
