"""Removes events, and forgets users: what was derived from the events follows."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from qdrant_client import models

from llmrec_qdrant.contracts.checks import external_id
from llmrec_qdrant.contracts.messages import RefreshUsers
from llmrec_qdrant.errors import InvalidInput, SpaceNotFound
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.calls import Offset
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.operations.events import USERS_PER_MESSAGE
from llmrec_qdrant.operations.steps import Steps, notify
from llmrec_qdrant.operations.stored import MAX_EVENTS
from llmrec_qdrant.operations.traces import collections_of
from llmrec_qdrant.operations.versions import on_every_version, versions
from llmrec_qdrant.space.conditions import equals, has_id, only, where
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import COLLAB_FIT, FRESH, Key

__all__ = ["forget_user", "remove_events"]

POINTS_PER_CONDITION = 1_000
"""Points in one condition or page."""
VOICE = 1_000
"""Latest events of a user that count in the collab leg."""
MAX_USERS_FOLLOWED = 100
"""Users whose removed events change single items of the collab leg; for more of them, all of it is fitted anew."""


@dataclass
class _Removed:
    """Events to remove, and what was derived from them. All of them point ids."""

    events: list[str] = field(default_factory=list)
    users: dict[str, str] = field(default_factory=dict)
    """Point id → user id."""
    items: set[str] = field(default_factory=set)
    """Items whose collab leg changes."""

    @property
    def is_widespread(self) -> bool:
        """Whether too many users are concerned to tell which items change."""
        return len(self.users) > MAX_USERS_FOLLOWED


def remove_events(
    bound: Bound, ids: Iterable[str] | None = None, user: str | None = None, item: str | None = None
) -> Steps[int]:
    """Delete the events with these ids, of this user and about this item, with their texts; returns how many existed.

    Users and items are marked before and after: a crash in between leaves them stale rather than wrong. Raises
    :class:`InvalidInput` if nothing is selected.
    """
    if ids is None and user is None and item is None:
        raise InvalidInput("removing events needs their ids, a user or an item")
    removed = _Removed()
    for selection in _selections(bound, ids, user, item):
        yield from _collect(bound, selection, removed)
    if not removed.events:
        return 0
    yield from _follow(bound, removed)
    yield from _mark(bound, removed)
    for batch in batches(removed.events, POINTS_PER_CONDITION):
        yield from calls.delete(bound.space.events, only(*batch))
        yield from on_every_version(bound.space, partial(_delete_texts_at, bound, batch))
    yield from _mark(bound, removed)
    messages = (RefreshUsers(space=bound.space.name, ids=some) for some in batches(removed.users, USERS_PER_MESSAGE))
    yield from notify(messages)
    return len(removed.events)


def _selections(bound: Bound, ids: Iterable[str] | None, user: str | None, item: str | None) -> Iterable[models.Filter]:
    """Yield filters whose events are to be removed: all conditions hold."""
    conditions = [equals(Key.TENANT, bound.owner)]
    conditions += [equals(Key.USER_ID, external_id(user))] if user is not None else []
    conditions += [equals(Key.ITEM_ID, external_id(item))] if item is not None else []
    if ids is None:
        yield where(*conditions)
        return
    points = dict.fromkeys(point_id("event", external_id(name), bound.tenant) for name in ids)
    for batch in batches(points, POINTS_PER_CONDITION):
        yield where(has_id(*batch), *conditions)


def _collect(bound: Bound, selection: models.Filter, removed: _Removed) -> Steps[None]:
    offset: Offset = None
    while True:
        page, offset = yield from calls.scroll(
            bound.space.events,
            selection,
            limit=POINTS_PER_CONDITION,
            offset=offset,
            payload=[Key.USER_ID, Key.ITEM_ID],
        )
        for event in page:
            removed.events.append(event.id)
            removed.users[bound.user_point(event.payload[Key.USER_ID])] = event.payload[Key.USER_ID]
            if event.get(Key.ITEM_ID):
                removed.items.add(bound.item_point(event.payload[Key.ITEM_ID]))
        if offset is None:
            return


def _follow(bound: Bound, removed: _Removed) -> Steps[None]:
    """Add the items that the users took, whose neighbours change."""
    if not removed.is_widespread:
        for user in removed.users.values():
            removed.items |= yield from _items_of(bound, user, len(removed.events))


def _items_of(bound: Bound, user: str, removed: int = 0) -> Steps[set[str]]:
    """Return the item points of the events of a user that have a voice in the collab leg, now or once some are removed."""
    theirs = where(equals(Key.USER_ID, user), equals(Key.TENANT, bound.owner))
    newest = models.OrderBy(key=Key.TS, direction=models.Direction.DESC)
    page, _ = yield from calls.scroll(
        bound.space.events, theirs, limit=min(VOICE + removed, MAX_EVENTS), payload=[Key.ITEM_ID], order_by=newest
    )
    return {bound.item_point(event.payload[Key.ITEM_ID]) for event in page if event.get(Key.ITEM_ID)}


def _mark(bound: Bound, removed: _Removed) -> Steps[None]:
    yield from on_every_version(bound.space, partial(_mark_at, bound, removed))


def _mark_at(bound: Bound, removed: _Removed, version: int) -> Steps[None]:
    """Mark the users stale, and the items or the whole collab leg as due, in one version."""
    space = bound.space.at(version)
    marks = {**FRESH, Key.REVISION: uuid.uuid4().hex}
    for batch in batches(removed.users, POINTS_PER_CONDITION):
        yield from calls.update_payload(space.users, marks, only(*batch))
    yield from _mark_items(space.items, removed.items)
    if removed.is_widespread:
        yield from calls.update_metadata(space.items, {COLLAB_FIT: {"fitting": "outdated"}})


def _mark_items(collection: str, items: Collection[str]) -> Steps[None]:
    for batch in batches(sorted(items), POINTS_PER_CONDITION):
        yield from calls.update_payload(collection, {Key.COLLAB_SINCE: now()}, only(*batch))


def _delete_texts_at(bound: Bound, events: Sequence[str], version: int) -> Steps[None]:
    yield from calls.delete(bound.space.at(version).texts, only(*events))


def forget_user(bound: Bound, user: str) -> Steps[int]:
    """Delete a user with all events, searches and other texts; returns the number of events.

    Also from trial spaces, and from what is left of versions whose deletion was interrupted.

    Qdrant keeps deleted data in its storage files until it rewrites them; see docs/operations.md.
    """
    user = external_id(user)
    yield from versions(bound.space)  # refuses a key that does not reach all of them, before anything is deleted
    point = bound.user_point(user)
    theirs = where(equals(Key.USER_ID, user), equals(Key.TENANT, bound.owner))
    items = yield from _items_of(bound, user)
    events = yield from calls.count(bound.space.events, theirs)
    yield from calls.delete(bound.space.events, theirs)
    yield from on_every_version(bound.space, partial(_forget_at, bound, theirs, point, items))
    yield from _forget_everywhere(bound, theirs, point)
    return events


def _forget_everywhere(bound: Bound, theirs: models.Filter, user: str) -> Steps[None]:
    """Delete the user from every collection by its name: also from trial spaces, and from versions that are half deleted."""
    held = {"events": theirs, "texts": theirs, "users": only(user)}
    for name in (yield from collections_of(bound.space)):
        kind = re.sub(r"_v\d+$", "", name).rpartition("_")[2]
        try:
            if kind in held:
                yield from calls.delete(name, held[kind])
        except SpaceNotFound:  # the measurement has ended meanwhile
            continue


def _forget_at(bound: Bound, theirs: models.Filter, user: str, items: Collection[str], version: int) -> Steps[None]:
    space = bound.space.at(version)
    yield from calls.delete(space.users, only(user))
    yield from calls.delete(space.texts, theirs)  # after the user: see `operations.words.keep`
    yield from _mark_items(space.items, items)
