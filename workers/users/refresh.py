"""Refreshes stale users: folds their events into vectors and payload, and writes them only if no event came in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from qdrant_client import models

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import INTERESTS, Key
from llmrec_qdrant.space.points import Point

from ..encoding.loading import user_tower
from ..items import assign
from ..items.collab_due import mark_due
from ..storage import malformed
from ..storage.attempts import attempt
from ..storage.revision import mark_users_stale
from ..storage.store import SpaceStore
from ..text.idf import Vocabulary
from .derive import Derived, Sources, derive, read_sources
from .history import count_events, mark_folded, read_dropped, read_events
from .library import Library

__all__ = ["refresh"]

USERS_PER_WRITE = 16
"""Users that are written together; the events of as many are in memory."""


def refresh(space: SpaceStore, config: SpaceConfig, ids: Sequence[str]) -> list[str]:
    """Fold the events of these users into their vectors; returns the ids to retry.

    The revision is read before the events and guards the write: if an event arrives in between, this write has no effect,
    and the refresh that the event announced does the work.
    """
    found = [user for user in space.users.raw.retrieve(ids) if user.get(Key.STALE)]
    stale, faults = malformed.split(space.users, found, Key.REVISION)
    malformed.set_aside(space.users, faults)
    if not stale:
        return []
    library, tower = Library(space, config), user_tower(config)
    work = _Refresh(space, Sources(config, library, Vocabulary.of(space), assign.load(space), tower))
    return attempt(space.users, stale, Key.REVISION, work.run) + work.late


@dataclass(frozen=True)
class _Refreshed:
    """A user, as stored, with everything that a refresh writes."""

    user: Point
    events: list[Point]
    """Newest first."""
    n_events: int
    derived: Derived

    @property
    def has_news(self) -> bool:
        """Whether events have been added or deleted since the last refresh."""
        unfolded = not all(event.get(Key.FOLDED) for event in self.events)
        return unfolded or self.n_events != self.user.get(Key.N_EVENTS)

    @property
    def lost(self) -> list[str]:
        """Names of the vectors that the events no longer yield."""
        had = [*self.user.get(Key.LEGS, ()), *([INTERESTS] if self.user.get(Key.INTERESTS) else [])]
        return [name for name in had if name not in self.derived.vectors]


@dataclass(frozen=True)
class _Refresh:
    """Refreshes the users of one message."""

    space: SpaceStore
    sources: Sources
    late: list[str] = field(default_factory=list)
    """Ids of users for whom an awaited item was encoded during the refresh."""

    def run(self, users: Sequence[Point]) -> None:
        """Refresh the users group by group; the requests of a group are sent together."""
        for group in batches(users, USERS_PER_WRITE):
            self._refresh([refreshed for user in group if (refreshed := self._derived(user)) is not None])

    def _derived(self, user: Point) -> _Refreshed | None:
        """Read the events of a user and derive what they yield; a user who has none any more is deleted."""
        events = read_events(self.space, user)
        if not events and not _steers(user):  # all its events were deleted
            self.space.users.delete(_unchanged(user))
            return None
        read_sources(events, self.sources)
        n_events = count_events(self.space, user, events)
        return _Refreshed(user, events, n_events, derive(user, events, n_events, self.sources))

    def _refresh(self, group: Sequence[_Refreshed]) -> None:
        """Write the users, then mark the items their new events change, then the events: a crash in between repeats work."""
        self._write(group)
        news = [
            (refreshed.events, read_dropped(self.space, refreshed.user, refreshed.events))
            for refreshed in group
            if refreshed.has_news
        ]
        mark_due(self.space, self.sources.config, news)
        mark_folded(self.space, [(refreshed.user, refreshed.events) for refreshed in group])
        for refreshed in group:
            waiting = refreshed.derived.waiting
            if waiting and self._arrived(refreshed.user, waiting):
                self.late.append(refreshed.user.id)

    def _write(self, group: Sequence[_Refreshed]) -> None:
        for refreshed in group:
            if refreshed.lost:
                self.space.users.delete_vectors(refreshed.lost, _unchanged(refreshed.user))
        vectors = {refreshed.user.id: refreshed.derived.vectors for refreshed in group if refreshed.derived.vectors}
        payloads = [(refreshed.derived.payload, _unchanged(refreshed.user)) for refreshed in group]
        self.space.users.write_existing(vectors, _unchanged(*(refreshed.user for refreshed in group)), then=payloads)

    def _arrived(self, user: Point, waiting: Sequence[str]) -> bool:
        """Whether an awaited item was encoded after it was read and before the user was stored as waiting for it."""
        points = [point_id("item", item, user.get(Key.TENANT) or None) for item in waiting]
        if not any(item.get(Key.LEGS) for item in self.space.items.retrieve(points, [Key.LEGS])):
            return False
        mark_users_stale(self.space, conditions.only(user.id))
        return True


def _steers(user: Point) -> bool:
    """Whether the user has set topic weights."""
    return any(weight != 1 for weight in user.get(Key.STEER, {}).values())


def _unchanged(*users: Point) -> models.Filter:
    """Match the users while their revisions are those that were read.

    A filter for several would also let a user pass who has meanwhile received the revision of another. Users share a revision
    only if one call marked them, and that call came before any event was read here: nothing is missed.
    """
    return conditions.unchanged(users, Key.REVISION)
