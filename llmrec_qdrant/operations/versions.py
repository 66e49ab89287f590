"""The versions of a space: lists them, and writes to all of them.

The collection ``{space}_items_vN`` marks that version *N* exists: it is created last and deleted first. Readers use the
aliases. Writers write to every version by name, the live one first, and list the versions again before they acknowledge: a
version that appeared in the meantime is written too. So a scan that fills a new version sees every acknowledged write that
the version itself has not received, without a lock. The metadata of each version's items names the others, so that a writer whose
key does not reach one is told so, rather than that its write is stored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from llmrec_qdrant.errors import SpaceIncomplete, SpaceNotFound, Unauthorized
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.space.layout import COLLECTION_KINDS, MOVE, PLAIN, Space

__all__ = [
    "CLAIMED",
    "DOOMED",
    "VERSIONED",
    "Versions",
    "mark",
    "missing",
    "missing_ignored",
    "on_every_version",
    "only_marks_of",
    "versions",
]

VERSIONED = tuple(kind for kind in COLLECTION_KINDS if kind not in PLAIN)
"""Kinds of collections that have versions; items come first."""

CLAIMED = "claimed_"
"""Begins the key, in the metadata of a version, of a switch to it that is under way; see operations/switching.py."""
DOOMED = "doomed_"
"""Begins the key of a deletion of the version that is under way."""
LOOKS = 2
"""Looks for the aliases before the API key is said to hide them: they may have been created between two requests."""

_MARK = re.compile(r"version_(\d+)")

T = TypeVar("T")


@dataclass(frozen=True)
class Versions:
    """Version numbers of a space; ``others`` are in ascending order."""

    live: int
    others: tuple[int, ...] = ()

    @property
    def all(self) -> tuple[int, ...]:
        """Every version, the live one first."""
        return (self.live, *self.others)


def versions(space: Space) -> Steps[Versions]:
    """Return the versions that exist now.

    Raises :class:`SpaceNotFound` for a space without a live version, :class:`Unauthorized` if the API key cannot reach all.
    """
    space = space.at(None)
    pattern = re.compile(re.escape(space.items) + r"_v(\d+)")
    for _ in range(LOOKS):
        names, aliases, stored = yield from calls.names_and_metadata(space.items)
        match = pattern.fullmatch(aliases.get(space.items, ""))
        if match is not None or not stored:
            break
    if match is None:
        raise _unreachable(space, "the versions") if stored else (yield from missing(space))
    live = int(match[1])
    numbers = {int(found[1]) for name in names if (found := pattern.fullmatch(name))}
    for number in sorted(_recorded(stored) - numbers):
        try:
            if (yield from calls.collection_exists(space.versioned("items", number))):
                numbers.add(number)
        except Unauthorized:
            raise _unreachable(
                space, f"version {number}, the collections {space.versioned('items', number)} and so on,"
            ) from None
    return Versions(live, tuple(sorted(numbers - {live})))


def mark(version: int, exists: bool = True) -> dict[str, bool | None]:
    """Return the entry about a version in the metadata of each version's items: a key that sees one version knows of the others."""
    return {f"version_{version}": True if exists else None}


def only_marks_of(numbers: Collection[int], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata without its entries about other versions, and about switches and deletions under way."""
    return {
        key: value
        for key, value in stored.items()
        if not key.startswith((CLAIMED, DOOMED)) and (not (match := _MARK.fullmatch(key)) or int(match[1]) in numbers)
    }


def _recorded(stored: Mapping[str, Any]) -> set[int]:
    return {int(match[1]) for key, kept in stored.items() if kept and (match := _MARK.fullmatch(key))}


def _unreachable(space: Space, what: str) -> Unauthorized:
    return Unauthorized(
        f"the API key cannot reach {what} of space {space.name!r}, and every write must reach every version: "
        f"use a key for all collections whose names begin with {space.name}_"
    )


def missing_ignored(steps: Steps[T]) -> Steps[T | None]:
    """Run steps on a version that somebody may delete meanwhile; None if it is gone."""
    try:
        return (yield from steps)
    except SpaceNotFound:
        return None


def missing(space: Space) -> Steps[SpaceNotFound]:
    """Return the error that says why there is no live version: there is no space, or it is still being moved here."""
    try:
        move = (yield from calls.metadata(space.events)).get(MOVE)
    except SpaceNotFound:
        move = None
    if not isinstance(move, dict):
        return SpaceNotFound(
            f"there is no space {space.name!r} in this Qdrant: create it with `llmrec init --space {space.name}` "
            "or Recommender.create()"
        )
    return SpaceIncomplete(
        f"space {space.name!r} is incomplete in this Qdrant: a move into it began at {move.get('began_at')} and has not ended; "
        "run the same `llmrec push` or `llmrec pull` again, which goes on where it stopped"
    )


def on_every_version(space: Space, write: Callable[[int], Steps[T]]) -> Steps[T]:
    """Call ``write`` with the number of every version, the live one first; returns its result for the live one."""
    results: dict[int, T] = {}
    deleted: set[int] = set()
    first: int | None = None
    while True:
        existing = yield from versions(space)
        first = existing.live if first is None else first
        left = [number for number in existing.all if number not in results and number not in deleted]
        if not left:
            return results[first] if first in results else next(iter(results.values()))
        for number in left:
            try:
                results[number] = yield from write(number)
            except SpaceNotFound:  # deleted in the meantime; if it was the only version, listing them again raises
                deleted.add(number)
