"""The versions of a space: lists them, writes to all of them, switches the aliases, deletes one.

The collection ``{space}_items_vN`` marks that version *N* exists: it is created last and deleted first. Readers use the
aliases. Writers write to every version by name, the live one first, and list the versions again before they acknowledge: a
version that appeared in the meantime is written too. So a scan that fills a new version sees every acknowledged write that
the version itself has not received, without a lock.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from qdrant_client import models

from llmrec_qdrant.errors import SpaceIncomplete, SpaceMismatch, SpaceNotFound
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.space.layout import COLLECTION_KINDS, MOVE, PLAIN, Space

__all__ = ["VERSIONED", "Versions", "drop", "missing", "on_every_version", "switch", "versions"]

VERSIONED = tuple(kind for kind in COLLECTION_KINDS if kind not in PLAIN)
"""Kinds of collections that have versions; items come first."""

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

    Raises :class:`SpaceNotFound` for a space without a live version.
    """
    names = yield from calls.collection_names()
    aliases = yield from calls.aliases()
    pattern = re.compile(re.escape(space.items) + r"_v(\d+)")
    numbers = sorted(int(match[1]) for name in names if (match := pattern.fullmatch(name)))
    match = pattern.fullmatch(aliases.get(space.items, ""))
    if match is None:
        raise (yield from missing(space))
    live = int(match[1])
    return Versions(live, tuple(number for number in numbers if number != live))


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


def switch(space: Space, version: int) -> Steps[None]:
    """Point every alias of the space at ``version``, in one atomic call."""
    operations: list[models.DeleteAliasOperation | models.CreateAliasOperation] = []
    for kind in VERSIONED:
        alias = space.alias(kind)
        operations.append(models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias)))
        new = models.CreateAlias(collection_name=space.versioned(kind, version), alias_name=alias)
        operations.append(models.CreateAliasOperation(create_alias=new))
    yield from calls.change_aliases(operations)


def drop(space: Space, version: int) -> Steps[None]:
    """Delete a version; its items collection goes first, since it marks that the version exists.

    Raises :class:`SpaceMismatch` for the live version.
    """
    existing = yield from versions(space)
    if version == existing.live:
        raise SpaceMismatch(f"version {version} of space {space.name!r} is live: switch to another version first")
    for kind in VERSIONED:
        yield from calls.delete_collection(space.versioned(kind, version))
