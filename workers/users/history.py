"""Reads and counts the events of one user, and marks them as folded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qdrant_client import models

from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.operations.clock import timestamp
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point

from ..items.interactions import MAX_EVENTS
from ..storage import malformed
from ..storage.store import TEXTS_PER_READ, SpaceStore
from .readable import MAX_RECENT

__all__ = ["MAX_EVENTS_READ", "count_events", "mark_folded", "moment", "read_dropped", "read_events"]

MAX_EVENTS_READ = MAX_EVENTS
"""Most recent events of a user that are read; limits what a list can exclude as seen."""
EVENTS_PER_MARK = 1_000
"""Events that are marked as folded in one request."""
_READ = (Key.USER_ID, Key.ITEM_ID, Key.TENANT, Key.TYPE, Key.VALUE, Key.TS, Key.SESSION, Key.FOLDED)
"""Payload keys of an event that a refresh uses; its text is a point of its own, with a vector."""
UNREAD = "…"
"""Stands for the text of an event that was not read."""


def moment(event: Point) -> float:
    """Return the time of an event in Unix seconds."""
    return timestamp(event.payload[Key.TS])


def read_events(space: SpaceStore, user: Point) -> list[Point]:
    """Read the ``MAX_EVENTS_READ`` most recent events of a user, newest first; those that are malformed are set aside.

    Only the newest have their texts: what all texts say is in the vectors of their own points.
    """
    newest = models.OrderBy(key=Key.TS, direction=models.Direction.DESC)
    of_user = conditions.where(*_of(user))
    limit, faults = MAX_EVENTS_READ, dict[str, str]()
    for _ in range(2):  # as many again as were malformed
        found, _ = space.events.raw.scroll(of_user, order_by=newest, limit=limit, payload=_READ)
        events, faults = malformed.split(space.events, found, keys=_READ)
        if not faults or len(found) < limit:
            break
        limit += len(faults)
    unfolded = {event.id for event in found if event.get(Key.FOLDED) is False}
    malformed.set_events_aside(space, {event: said for event, said in faults.items() if event in unfolded})
    told = _without_faulty_texts(space, _newest_first(events)[:MAX_EVENTS_READ])
    _add_texts(space, told)
    return told


def _without_faulty_texts(space: SpaceStore, events: Sequence[Point]) -> list[Point]:
    """Set new events aside whose text is no text; returns the others. Memory holds a few texts at a time."""
    faulty: dict[str, str] = {}
    for batch in batches([event.id for event in events if event.get(Key.FOLDED) is False], TEXTS_PER_READ):
        _, faults = malformed.split(space.events, space.events.raw.retrieve(batch, [Key.TEXT]), keys=[Key.TEXT])
        malformed.set_events_aside(space, faults)
        faulty |= faults
    return [event for event in events if event.id not in faulty]


def _add_texts(space: SpaceStore, events: Sequence[Point]) -> None:
    """Add the texts of the newest events, and ``UNREAD`` to others that have one."""
    have = {point.id for point in space.texts.retrieve([event.id for event in events], False)}
    told = [event for event in events if event.id in have]
    shown = space.events.retrieve([event.id for event in told[:MAX_RECENT]], [Key.TEXT])
    texts = {event.id: event.get(Key.TEXT, "") for event in shown}
    for event in told:
        event.payload[Key.TEXT] = texts.get(event.id, UNREAD)


def read_dropped(space: SpaceStore, user: Point, events: Sequence[Point]) -> list[Point]:
    """Read the events that were folded before and are too old now; ``events`` are those that :func:`read_events` read."""
    unfolded = sum(not event.get(Key.FOLDED) for event in events)
    if len(events) < MAX_EVENTS_READ or not unfolded:
        return []
    newest = models.OrderBy(key=Key.TS, direction=models.Direction.DESC)
    same_moment = sum(event.payload[Key.TS] == events[-1].payload[Key.TS] for event in events)
    older = models.FieldCondition(key=Key.TS, range=models.DatetimeRange(lte=events[-1].payload[Key.TS]))
    which = conditions.where(*_of(user), older, conditions.equals(Key.FOLDED, True))
    candidates, _ = space.events.scroll(which, order_by=newest, limit=unfolded + same_moment, payload=_READ)
    read = {event.id for event in events}
    return _newest_first(event for event in candidates if event.id not in read)


def count_events(space: SpaceStore, user: Point, read: Sequence[Point]) -> int:
    """Count the events of a user; ``read`` are the most recent of them."""
    return len(read) if len(read) < MAX_EVENTS_READ else space.events.count(conditions.where(*_of(user)))


def mark_folded(space: SpaceStore, users: Sequence[tuple[Point, Sequence[Point]]]) -> None:
    """Mark as folded the events that were read of these users, and all events of theirs that are too old to be read.

    ``users`` are pairs of a user and the events that were read, newest first.
    """
    unmarked = [event.id for _, events in users for event in events if not event.get(Key.FOLDED)]
    which = [conditions.only(*batch) for batch in batches(unmarked, EVENTS_PER_MARK)]
    for user, events in users:
        if len(events) == MAX_EVENTS_READ:
            older = models.FieldCondition(key=Key.TS, range=models.DatetimeRange(lte=events[-1].payload[Key.TS]))
            which.append(conditions.where(*_of(user), older, conditions.equals(Key.FOLDED, False)))
    for condition in which:
        space.events.set_payload({Key.FOLDED: True}, condition)


def _newest_first(events: Iterable[Point]) -> list[Point]:
    return sorted(events, key=lambda event: (moment(event), event.id), reverse=True)


def _of(user: Point) -> list[models.FieldCondition]:
    """Return the conditions that match the events of a user."""
    return [
        conditions.equals(Key.USER_ID, user.payload[Key.USER_ID]),
        conditions.equals(Key.TENANT, user.get(Key.TENANT, "")),
    ]
