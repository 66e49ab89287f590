"""Switches the aliases to a version, and deletes versions. Two processes that do so at the same time cannot harm each other.

A switch first claims its version, in the metadata, and then looks whether somebody deletes it. A deletion first marks the version,
and then looks for claims and at the aliases. So at least one of the two sees the other and gives way, in whatever order they call:
a live version is never deleted. The number of a deleted version is never used again, so a late deletion meets nothing new.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from qdrant_client import models

from llmrec_qdrant.errors import LlmrecError, NotFound, SpaceMismatch, SpaceNotFound
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.steps import Sleep, Steps
from llmrec_qdrant.operations.versions import CLAIMED, DOOMED, VERSIONED, mark, missing_ignored, versions
from llmrec_qdrant.space.layout import HIGHEST_VERSION, Space

__all__ = ["drop", "next_number", "switch"]

CLAIM_SECONDS = 10.0
"""Seconds after which a claim belongs to a process that died: a switch takes milliseconds."""
POLL_SECONDS = 0.5
"""Seconds between two looks at a claim."""


def switch(space: Space, version: int) -> Steps[None]:
    """Point every alias of the space at ``version``, in one call.

    Raises :class:`NotFound` if the version does not exist, or is being deleted; then nothing has changed.
    """
    items, claim = space.versioned("items", version), f"{CLAIMED}{uuid.uuid4().hex}"
    try:
        yield from calls.update_metadata(items, {claim: True})
        doomed = _marks((yield from calls.metadata(items)), DOOMED)
        if not doomed:
            yield from calls.change_aliases(_aliases(space, version))
    except SpaceNotFound:
        raise _gone(space, version) from None
    except LlmrecError:
        yield from _unmark(items, claim)
        raise
    yield from _unmark(items, claim)
    if doomed:
        raise _gone(space, version)


def _aliases(space: Space, version: int) -> list[models.CreateAliasOperation]:
    """Return the operations of a switch, items first: they are created last and deleted first, so all other collections exist.

    An alias is created over the old one: if the version is gone, Qdrant would not restore an alias that it had deleted before.
    """
    pairs = [(space.versioned(kind, version), space.alias(kind)) for kind in VERSIONED]
    return [
        models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name=name, alias_name=alias))
        for name, alias in pairs
    ]


def _gone(space: Space, version: int) -> NotFound:
    return NotFound(f"version {version} of space {space.name!r} was deleted, or is being deleted: nothing was switched")


def drop(space: Space, version: int) -> Steps[None]:
    """Delete a version; its items collection goes first, since it marks that the version exists.

    Raises :class:`SpaceMismatch` for the live version.
    """
    existing = yield from versions(space)
    if version == existing.live:
        raise _is_live(space, version)
    items, doom = space.versioned("items", version), f"{DOOMED}{uuid.uuid4().hex}"
    try:
        yield from calls.update_metadata(items, {doom: True})
        yield from _outlast_claims(items)
    except SpaceNotFound:
        pass  # somebody else deletes it, too
    if (yield from calls.aliases()).get(space.alias("items")) == items:
        yield from _unmark(items, doom)
        raise _is_live(space, version)
    for kind in VERSIONED:
        yield from calls.delete_collection(space.versioned(kind, version))
    for number in existing.all:
        if number != version:
            yield from missing_ignored(
                calls.update_metadata(space.versioned("items", number), mark(version, exists=False))
            )


def _is_live(space: Space, version: int) -> SpaceMismatch:
    return SpaceMismatch(f"version {version} of space {space.name!r} is live: switch to another version first")


def _outlast_claims(items: str) -> Steps[None]:
    """Wait until those who claimed the version have switched to it or given way, or are dead."""
    waited = 0.0
    claims = _marks((yield from calls.metadata(items)), CLAIMED)
    while claims and waited < CLAIM_SECONDS:
        yield Sleep(POLL_SECONDS)
        waited += POLL_SECONDS
        claims &= _marks((yield from calls.metadata(items)), CLAIMED)


def _unmark(items: str, key: str) -> Steps[None]:
    yield from missing_ignored(calls.update_metadata(items, {key: None}))


def _marks(stored: Mapping[str, Any], prefix: str) -> set[str]:
    return {key for key, kept in stored.items() if kept and key.startswith(prefix)}


def next_number(space: Space) -> Steps[int]:
    """Return a number that no version of the space has, or ever had."""
    names, _, stored = yield from calls.names_and_metadata(space.alias("items"))
    kinds = "|".join(VERSIONED)
    pattern = re.compile(rf"{re.escape(space.name)}_(?:{kinds})_v(\d+)")
    present = (int(match[1]) for name in names if (match := pattern.fullmatch(name)))
    known = (yield from versions(space)).all
    return 1 + max(*known, *present, int(stored.get(HIGHEST_VERSION) or 0))
