"""Looks through every collection of a space, hidden ones and trial spaces included, for what belongs to a user."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmrec_qdrant.contracts.checks import external_id
from llmrec_qdrant.errors import SpaceNotFound
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.calls import Offset
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.versions import versions
from llmrec_qdrant.space.layout import COLLECTION_KINDS, TRIAL, Key, Space
from llmrec_qdrant.space.points import Point

__all__ = ["TRIAL_PREFIX", "collections_of", "traces_of"]

POINTS_PER_PAGE = 256
"""Points per page of a scroll."""

TRIAL_PREFIX = 45
"""Characters of a space's name with which the names of its trial spaces begin."""

_KINDS = "|".join(COLLECTION_KINDS)


def traces_of(bound: Bound, user: str) -> Steps[dict[str, int]]:
    """Return collection → points that belong to the user, for every collection, also those where there are none.

    Every point is read, and nothing depends on an index.
    """
    user = external_id(user)
    yield from versions(bound.space)  # refuses a key that does not reach all of them
    found: dict[str, int] = {}
    for name in (yield from collections_of(bound.space)):
        try:
            found[name] = yield from _traces_in(bound, name, user)
        except SpaceNotFound:  # a trial space that has ended meanwhile
            continue
    return found


def _traces_in(bound: Bound, collection: str, user: str) -> Steps[int]:
    count, offset = 0, None
    point = bound.user_point(user)
    while True:
        page: list[Point]
        following: Offset
        page, following = yield from calls.scroll(
            collection, limit=POINTS_PER_PAGE, offset=offset, payload=[Key.USER_ID, Key.TENANT]
        )
        count += sum(_is_theirs(bound, stored, user, point) for stored in page)
        if following is None:
            return count
        offset = following


def _is_theirs(bound: Bound, stored: Point, user: str, point: str) -> bool:
    return stored.id == point or (stored.get(Key.USER_ID) == user and (stored.get(Key.TENANT) or "") == bound.owner)


def collections_of(space: Space) -> Steps[list[str]]:
    """Return the names of the collections of a space, its versions and its trial spaces, which measurements copy a space to."""
    names = yield from calls.collection_names()
    spaces = "|".join(map(re.escape, [space.name, *(yield from _trials(space, names))]))
    pattern = re.compile(rf"(?:{spaces})_(?:{_KINDS})(?:_v\d+)?")
    return sorted(filter(pattern.fullmatch, names))


def _trials(space: Space, names: Iterable[str]) -> Steps[list[str]]:
    """Return the names of trial spaces. They have a heartbeat; another space that happens to have such a name has none."""
    pattern = re.compile(rf"({re.escape(space.name[:TRIAL_PREFIX])}-trial-[0-9a-f]{{8}})_items_v1")
    trials: list[str] = []
    for match in filter(None, map(pattern.fullmatch, names)):
        try:
            stored = yield from calls.metadata(match[0])
        except SpaceNotFound:  # the measurement has ended meanwhile
            continue
        trials += [match[1]] if TRIAL in stored else []
    return trials
