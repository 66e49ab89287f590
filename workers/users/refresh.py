"""Refreshes stale users: folds their events into vectors and payload, and writes them only if no event came in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from qdrant_client import models

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import INTERESTS, Key
from llmrec_qdrant.space.points import Point

from ..encoding.loading import user_tower
from ..items import assign
from ..items.collab_due import mark_due
from ..storage.attempts import attempt
from ..storage.revision import mark_users_stale
from ..storage.store import SpaceStore
from ..text.idf import Vocabulary
from .derive import Derived, Sources, derive
from .history import count_events, mark_folded, read_events
from .library import Library
from .readable import MAX_RECENT

__all__ = ["refresh"]


def refresh(space: SpaceStore, config: SpaceConfig, ids: Sequence[str]) -> list[str]:
    """Fold the events of these users into their vectors; returns the ids to retry.

    The revision is read before the events and guards the write: if an event arrives in between, this write has no effect,
    and the refresh that the event announced does the work.
    """
    stale = [user for user in space.users.retrieve(ids) if user.get(Key.STALE)]
    if not stale:
        return []
    library, tower = Library(space, config), user_tower(config)
    work = _Refresh(space, Sources(config, library, Vocabulary.of(space), assign.load(space), tower))
    return attempt(space.users, stale, Key.REVISION, work.run) + work.late


@dataclass(frozen=True)
class _Refresh:
    """Refreshes the users of one message."""

    space: SpaceStore
    sources: Sources
    late: list[str] = field(default_factory=list)
    """Ids of users for whom an awaited item was encoded during the refresh."""

    def run(self, users: Sequence[Point]) -> None:
        """Refresh the users one by one."""
        for user in users:
            self._refresh(user)

    def _refresh(self, user: Point) -> None:
        events = read_events(self.space, user)
        if not events and not _steers(user):  # all its events were deleted
            self.space.users.delete(_unchanged(user))
            return
        self.sources.library.load(events[: max(self.sources.config.history, MAX_RECENT)])
        n_events = count_events(self.space, user, events)
        derived = derive(user, events, n_events, self.sources)
        self._write(user, derived)
        if n_events != user.get(Key.N_EVENTS) or not all(event.get(Key.FOLDED) for event in events):
            mark_due(self.space, self.sources.config, events)
        mark_folded(self.space, user, events)
        if derived.waiting and self._arrived(user, derived.waiting):
            self.late.append(user.id)

    def _write(self, user: Point, derived: Derived) -> None:
        guard = _unchanged(user)
        had = [*user.get(Key.LEGS, ()), *([INTERESTS] if user.get(Key.INTERESTS) else [])]
        lost = [name for name in had if name not in derived.vectors]
        if lost:
            self.space.users.delete_vectors(lost, guard)
        vectors = {user.id: derived.vectors} if derived.vectors else {}
        self.space.users.write_existing(vectors, guard, then=[(derived.payload, guard)])

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


def _unchanged(user: Point) -> models.Filter:
    """Match the user while its revision is unchanged."""
    return conditions.unchanged([user], Key.REVISION)
