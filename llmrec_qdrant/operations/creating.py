"""Creates and configures spaces. Several clients may do so at the same time, and while the space is being re-embedded.

The items collection of a new space comes first, with the settings in its metadata: whoever creates it decides, and the others follow.
Readers find the space once the aliases name it. Settings of an existing space are written to its collections by their own names,
since an alias may meanwhile name another version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.messages import Reconcile
from llmrec_qdrant.errors import NotFound, QdrantRefused, SpaceIncomplete, SpaceMismatch, SpaceNotFound
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import refuse_tenant
from llmrec_qdrant.operations.fields import adopt_fields
from llmrec_qdrant.operations.spaces import build_collection, identity, load_config
from llmrec_qdrant.operations.steps import Steps, notify
from llmrec_qdrant.operations.switching import drop, switch
from llmrec_qdrant.operations.versions import VERSIONED, missing_ignored, on_every_version, versions
from llmrec_qdrant.space import layout
from llmrec_qdrant.space.layout import MIGRATION, Space

__all__ = ["configure", "create"]

MAX_ROUNDS = 5
"""Times that a creation begins anew because another process has changed the versions meanwhile."""
FOUNDING = {"stage": "filling", "job": ""}
"""State of the first version until the aliases name it: nobody switches to it before."""

Wanted = SpaceConfig | Mapping[str, Any]

REEMBED_OPTIONS = frozenset({"model", "size", "pooling", "similarity"})
"""Settings that are options of `llmrec reembed`."""


def configure(space: Space, wanted: Wanted | None, tenant: str | None = None) -> Steps[SpaceConfig]:
    """Create the space, or change those settings of an existing one that ``wanted`` names, in every version.

    Workers compare users and items with the configuration, and rebuild what the changed settings determine.
    Raises :class:`SpaceMismatch` if ``wanted`` needs other vectors than the space has, :class:`InvalidInput` if a tenant
    would change anything.
    """
    try:
        before = yield from load_config(space)
    except SpaceNotFound:
        refuse_tenant(tenant, "create it")
        before = None
    if before is not None and tenant is not None:
        if before != (yield from _merged(space, before, {} if wanted is None else wanted)):
            refuse_tenant(tenant, "change its settings")
        return before
    config = yield from create(space, wanted)
    if before is not None and before != config:
        yield from on_every_version(space, partial(_configure_at, space, before, config))
        yield from notify([Reconcile(space=space.name)])
    return config


def _configure_at(space: Space, before: SpaceConfig, config: SpaceConfig, version: int) -> Steps[None]:
    """Give one version the new settings, except those that determine its vectors, and leg weights that it has of its own."""
    at = space.at(version)
    stored = yield from load_config(at)
    unchanged = [*SpaceConfig.IDENTITY, *(["weights"] if stored.weights != before.weights else [])]
    own = config.model_copy(update={name: getattr(stored, name) for name in unchanged})
    if own != stored:
        yield from calls.update_metadata(at.items, layout.metadata(own))
        yield from adopt_fields(at.items, own)


def create(space: Space, wanted: Wanted | None) -> Steps[SpaceConfig]:
    """Create the missing parts of the space, and store and return its configuration. Idempotent.

    An existing space keeps the settings that ``wanted`` does not name, and a new one gets their defaults. Settings of vectors
    that the space had before a re-embedding change nothing, so an application may go on naming them when it starts.
    Raises :class:`SpaceMismatch` if ``wanted`` needs other vectors than the space has or had.
    """
    for _ in range(MAX_ROUNDS):
        try:
            yield from load_config(space)  # refuses a collection that is not ours
            live = (yield from versions(space)).live
        except SpaceIncomplete:  # its aliases would show a half-moved space
            raise
        except SpaceNotFound:
            yield from _found(space, wanted or {})
            continue
        try:
            return (yield from _complete(space, live, wanted or {}))
        except SpaceNotFound:  # the version was deleted meanwhile, since another one is live
            continue
    raise SpaceMismatch(f"space {space.name!r} is being changed by others: try again in a moment")


# --- a new space ----------------------------------------------------------------------------------


def _found(space: Space, wanted: Wanted) -> Steps[None]:
    """Create the first version of a space, or complete what somebody began, and let the aliases name it."""
    number = yield from _first_version(space, SpaceConfig.parse(wanted))
    at = space.at(number)
    try:
        config = yield from _merged(space, (yield from load_config(at)), wanted, [number])
        yield from _build(space, number, config)
        if space.items in (yield from calls.aliases()):
            yield from _withdraw(space, number)
            return
        yield from _show(space, number)
    except (SpaceNotFound, NotFound):  # another process was faster, and has deleted this version since
        return
    yield from missing_ignored(calls.update_metadata(at.items, {MIGRATION: None}))


def _show(space: Space, number: int) -> Steps[None]:
    try:
        yield from switch(space, number)
    except QdrantRefused as error:
        raise SpaceMismatch(
            f"other collections use the names of space {space.name!r} ({error}): choose another space name"
        ) from error


def _first_version(space: Space, config: SpaceConfig) -> Steps[int]:
    """Return the latest complete version, or else one that is begun, or else a new one."""
    pattern = re.compile(re.escape(space.items) + r"_v(\d+)")
    names = yield from calls.collection_names()
    states: dict[int, Mapping[str, Any]] = {}
    for number in sorted(int(match[1]) for name in names if (match := pattern.fullmatch(name))):
        stored = yield from missing_ignored(calls.metadata(space.versioned("items", number)))
        states[number] = (stored or {}).get(MIGRATION) or {"stage": "done"}
    complete = [number for number, state in states.items() if state.get("stage") == "done"]
    begun = [number for number, state in states.items() if state == FOUNDING]
    if complete or begun:
        return (complete or begun)[-1]
    number = 1 + max(states, default=0)
    yield from build_collection("items", space.versioned("items", number), config, {MIGRATION: FOUNDING})
    return number


def _withdraw(space: Space, number: int) -> Steps[None]:
    """Delete a first version that came too late: the aliases name another one."""
    stored = yield from calls.metadata(space.versioned("items", number))
    if stored.get(MIGRATION) == FOUNDING:
        with suppress(SpaceMismatch):  # it is live: another process went on with it
            yield from drop(space, number)


def _build(space: Space, number: int, config: SpaceConfig) -> Steps[None]:
    """Create the missing collections and indexes of a version, but never its items; and the plain collections."""
    for kind in layout.COLLECTION_KINDS:
        yield from build_collection(kind, space.versioned(kind, number), config, adopting=kind == "items")


# --- an existing space ----------------------------------------------------------------------------


def _complete(space: Space, number: int, wanted: Wanted) -> Steps[SpaceConfig]:
    """Create what an existing version lacks, and store the settings that ``wanted`` names."""
    at = space.at(number)
    metadata = yield from calls.metadata(at.items)
    stored = layout.read_metadata(space, metadata)
    config = yield from _merged(space, stored, wanted)
    yield from _build(space, number, config)
    if not (yield from calls.collection_exists(at.items)):  # deleted meanwhile: so must be what was built
        for kind in VERSIONED:
            yield from calls.delete_collection(space.versioned(kind, number))
        raise SpaceNotFound(f"version {number} of space {space.name!r} was deleted")
    changes = {**(layout.metadata(config) if config != stored else {})}
    if metadata.get(MIGRATION) == FOUNDING:  # its creator died before it could say so
        changes[MIGRATION] = None
    if changes:
        yield from calls.update_metadata(at.items, changes)
    yield from adopt_fields(at.items, config)
    aliases = yield from calls.aliases()
    if any(space.alias(kind) not in aliases for kind in VERSIONED):  # an earlier release had fewer kinds
        yield from _show(space, number)
    return config


def _merged(space: Space, stored: SpaceConfig, wanted: Wanted, numbers: Sequence[int] = ()) -> Steps[SpaceConfig]:
    config = stored.merged(wanted)
    now, asked = identity(stored), identity(config)
    if asked != now:
        named = SpaceConfig.parse(wanted).model_fields_set & set(now)
        before = yield from _earlier(space, numbers)
        if not any(all(one.get(name) == asked[name] for name in named) for one in before):
            _refuse_other_vectors(space, stored, config)
    return config.model_copy(update=now)


def _earlier(space: Space, numbers: Sequence[int]) -> Steps[list[dict[str, Any]]]:
    """Return the settings of the vectors of these versions, or else of all, and of those before them that were deleted."""
    listed: list[dict[str, Any]] = []
    for number in numbers or (yield from versions(space)).all:
        stored = yield from missing_ignored(calls.metadata(space.versioned("items", number)))
        if stored:
            listed += [identity(layout.read_metadata(space, stored)), *(stored.get(layout.EARLIER) or ())]
    return listed


def _refuse_other_vectors(space: Space, stored: SpaceConfig, wanted: SpaceConfig) -> None:
    differ = [name for name in SpaceConfig.IDENTITY if getattr(stored, name) != getattr(wanted, name)]
    if differ:
        lines = ", ".join(f"{name} is {getattr(stored, name)!r}, not {getattr(wanted, name)!r}" for name in differ)
        raise SpaceMismatch(
            f"space {space.name!r} stores other vectors ({lines}): encode it anew with {_move(differ, wanted)}, create a space "
            "under another name, or leave these settings out"
        )


def _move(differ: Sequence[str], wanted: SpaceConfig) -> str:
    """Return the command, or else the call, that moves the space to the settings that differ."""
    if set(differ) <= REEMBED_OPTIONS:
        return f"`llmrec reembed {' '.join(f'--{name} {getattr(wanted, name)}' for name in differ)}`"
    return f"rec.reembed({', '.join(f'{name}={getattr(wanted, name)!r}' for name in differ)})"
