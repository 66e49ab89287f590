"""The versions of a space: which collections exist, which one the aliases name, and writing to all of them.

``{space}_items_vN`` marks that version *N* exists: it is created last and deleted first. Readers use the
aliases. Writers write to every version by its own name, live one first, and look again before they
acknowledge: a version that appeared meanwhile is written too. So whatever scans a new version into
existence afterwards has seen every acknowledged write, and no lock is needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from qdrant_client import models

from llmrec_qdrant.errors import SpaceMismatch, SpaceNotFound
from llmrec_qdrant.operations.steps import Steps, call
from llmrec_qdrant.space.layout import KINDS, Space

__all__ = ["VERSIONED", "Versions", "drop", "on_every_version", "switch", "versions"]


VERSIONED = tuple(kind for kind in KINDS if kind != "events")
"""Kinds of collections that have versions; items come first."""


T = TypeVar("T")


@dataclass(frozen=True)
class Versions:
    """Version numbers of a space; ``others`` in rising order."""

    live: int
    others: tuple[int, ...] = ()

    @property
    def all(self) -> tuple[int, ...]:
        """Every version, the live one first."""
        return (self.live, *self.others)


def versions(space: Space) -> Steps[Versions]:
    """The versions that exist now.

    Raises :class:`SpaceNotFound` for a space without a live version.
    """
    listed = yield from call("get_collections")
    aliases = yield from call("get_aliases")
    pattern = re.compile(re.escape(space.items) + r"_v(\d+)")
    numbers = sorted(int(found[1]) for one in listed.collections if (found := pattern.fullmatch(one.name)))
    for alias in aliases.aliases:
        found = pattern.fullmatch(alias.collection_name) if alias.alias_name == space.items else None
        if found:
            live = int(found[1])
            return Versions(live, tuple(number for number in numbers if number != live))
    raise SpaceNotFound(
        f"there is no space {space.name!r} in this Qdrant: create the space first with "
        f"`llmrec init --space {space.name}` or Recommender.create()"
    )


def on_every_version(space: Space, write: Callable[[int], Steps[T]]) -> Steps[T]:
    """Do ``write`` on every version; returns what it returned on the live one."""
    results: dict[int, T] = {}
    gone: set[int] = set()
    first: int | None = None
    while True:
        found = yield from versions(space)
        first = found.live if first is None else first
        left = [number for number in found.all if number not in results and number not in gone]
        if not left:
            return results[first] if first in results else next(iter(results.values()))
        for number in left:
            try:
                results[number] = yield from write(number)
            except SpaceNotFound:  # dropped meanwhile, unless it is the only one
                gone.add(number)


def switch(space: Space, version: int) -> Steps[None]:
    """Point every alias of the space to ``version``, in one atomic call."""
    operations: list[models.DeleteAliasOperation | models.CreateAliasOperation] = []
    for kind in VERSIONED:
        alias = space.alias(kind)
        operations.append(models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias)))
        new = models.CreateAlias(collection_name=space.versioned(kind, version), alias_name=alias)
        operations.append(models.CreateAliasOperation(create_alias=new))
    yield from call("update_collection_aliases", change_aliases_operations=operations)


def drop(space: Space, version: int) -> Steps[None]:
    """Delete a version, items first: without them nobody takes it for one.

    Raises :class:`SpaceMismatch` for the live version.
    """
    found = yield from versions(space)
    if version == found.live:
        raise SpaceMismatch(f"version {version} of space {space.name!r} is live: switch to another one first")
    for kind in VERSIONED:
        yield from call("delete_collection", collection_name=space.versioned(kind, version))
