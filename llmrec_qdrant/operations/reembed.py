"""Operations of re-embedding: ask for it, count how far it is, roll back, clean up. The filling is in ``workers/migrate.py``.

A job makes a new version of the space beside the live one. From then on every write reaches both, workers copy and encode
what was there before, and when nothing differs any more one alias call switches items, users, texts and topics together.
The old version stays, up to date, until it is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.jobs import JobStatus, ReembedOptions
from llmrec_qdrant.errors import NotFound
from llmrec_qdrant.operations import calls, job_records
from llmrec_qdrant.operations.spaces import build_collection, load_config
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.versions import VERSIONED, drop, switch, versions
from llmrec_qdrant.space.conditions import equals, set_aside, where
from llmrec_qdrant.space.layout import MIGRATION, Key, Space

__all__ = [
    "VERSION", "VersionState", "clean_up", "drop_orphans", "make_version", "measure", "read_state", "result_of", "rollback", "start",
    "version_of", "write_state",
]  # fmt: skip

VERSION = "version"
"""Name in the cursor and in the result of a job: the number of the version it fills."""


@dataclass(frozen=True)
class VersionState:
    """What a version is; stored in the metadata of its items collection."""

    stage: Literal["filling", "switching", "done"] = "filling"
    job: str = ""
    """The job that fills it."""
    started_at: str = ""


def read_state(space: Space, version: int) -> Steps[VersionState | None]:
    """The state of a version; None if no re-embedding made it."""
    metadata = yield from calls.metadata(space.versioned("items", version))
    stored = metadata.get(MIGRATION)
    if not isinstance(stored, dict):
        return None
    return VersionState(**{name: stored[name] for name in VersionState.__dataclass_fields__ if name in stored})


def write_state(space: Space, version: int, state: VersionState) -> Steps[None]:
    """Store the state of a version."""
    yield from calls.update_metadata(space.versioned("items", version), {MIGRATION: asdict(state)})


# --- asking for it --------------------------------------------------------------------------------


def start(
    space: Space, config: SpaceConfig | Mapping[str, Any] | None, changes: Mapping[str, Any], inline: bool
) -> Steps[JobStatus]:
    """A job that moves the space to other settings; done at once where the live version has them.

    Raises :class:`SpaceMismatch` while a re-embedding to other settings is under way.
    """
    live = yield from load_config(space)
    wanted = SpaceConfig.parse({**live.model_dump(), **changes} if config is None else config)
    stored, new = live.model_dump(mode="json"), wanted.model_dump(mode="json")
    options = ReembedOptions(changes={name: value for name, value in new.items() if value != stored[name]})
    if options.changes:
        return (yield from job_records.start(space, "reembed", options.model_dump(), inline)).status()
    found = yield from versions(space)
    result = yield from result_of(space, found.live)
    return (yield from job_records.record_done(space, "reembed", options.model_dump(), result)).status()


def make_version(space: Space, number: int, config: SpaceConfig, state: VersionState) -> Steps[None]:
    """Create the collections of a version. Items come last: their collection makes the version exist for writers."""
    for kind in reversed(VERSIONED):
        name = space.versioned(kind, number)
        if kind != "items":
            yield from calls.delete_collection(name)  # left over from a worker that died here
        metadata = {MIGRATION: asdict(state)} if kind == "items" else {}
        yield from build_collection(kind, name, config, metadata)


def version_of(space: Space, job: str) -> Steps[int | None]:
    """The version that a job fills or filled; None before it exists."""
    found = yield from versions(space)
    for number in found.all:
        state = yield from read_state(space, number)
        if state is not None and state.job == job:
            return number
    return None


# --- how far it is --------------------------------------------------------------------------------


def measure(space: Space, version: int) -> Steps[tuple[int, int]]:
    """Items and users that the version has with current vectors, and all that the live one holds."""
    done = total = 0
    for kind in ("items", "users"):
        done += yield from calls.count(space.versioned(kind, version), where(equals(Key.STALE, False)))
        total += yield from calls.count(space.alias(kind))
    return done, total


def result_of(space: Space, version: int) -> Steps[dict[str, Any]]:
    """The result of a re-embedding that ended with this version."""
    at = space.at(version)
    config = yield from load_config(at)
    aside = yield from calls.count(at.items, where(set_aside()))
    items = yield from calls.count(at.items)
    users = yield from calls.count(at.users)
    return {VERSION: version, "model": config.encoder_id, "items": items, "users": users, "items_set_aside": aside}


# --- going back -----------------------------------------------------------------------------------


def rollback(space: Space) -> Steps[int]:
    """Switch back to the previous version and return its number. The version left behind stays, up to date.

    Raises :class:`NotFound` if there is none.
    """
    found = yield from versions(space)
    ready: list[int] = []
    for number in found.others:
        state = yield from read_state(space, number)
        if state is None or state.stage == "done":
            ready.append(number)
    if not ready:
        raise NotFound(
            f"space {space.name!r} has no earlier version to go back to: it was never re-embedded, or `llmrec clean-up` deleted it"
        )
    state = yield from read_state(space, found.live)
    if state is not None:  # its worker may have died between the switch and this note, and must not switch again
        yield from write_state(space, found.live, replace(state, stage="done"))
    yield from switch(space, ready[-1])
    return ready[-1]


def clean_up(space: Space) -> Steps[list[int]]:
    """Delete every version that is neither live nor being filled; returns their numbers."""
    under_way = yield from job_records.active(space, "reembed")
    found = yield from versions(space)
    gone: list[int] = []
    for number in found.others:
        state = yield from read_state(space, number)
        if under_way is None or state is None or state.job != under_way.id:
            yield from drop(space, number)
            gone.append(number)
    return gone


def drop_orphans(space: Space) -> Steps[list[int]]:
    """Delete the versions that a job began and will not complete: it was cancelled or failed; returns their numbers."""
    found = yield from versions(space)
    gone: list[int] = []
    for number in found.others:
        if (yield from _is_orphan(space, number)):
            yield from drop(space, number)
            gone.append(number)
    return gone


def _is_orphan(space: Space, version: int) -> Steps[bool]:
    """A job notes that its version is done before it ends: so one that is not, after the job has ended, never will be."""
    before = yield from read_state(space, version)
    if before is None or before.stage == "done":
        return False
    job = yield from job_records.read(space, before.job)
    if job is not None and job.active:
        return False
    after = yield from read_state(space, version)
    return after is not None and after.stage != "done"
