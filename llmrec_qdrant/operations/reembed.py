"""Requests and measures re-embeddings, rolls back and cleans up. ``workers/reembed.py`` does the work.

A job creates a new version of the space beside the live one. From then on every write goes to both. Workers copy and encode
the older data; once both versions hold the same, one alias call switches items, users, texts and topics together. The old
version is still written to until it is deleted, so it stays up to date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.jobs import JobStatus, ReembedOptions
from llmrec_qdrant.errors import InvalidInput, NotFound, SpaceMismatch, SpaceNotFound, show
from llmrec_qdrant.operations import calls, job_records
from llmrec_qdrant.operations.spaces import build_collection, identity, load_config
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.switching import drop, switch
from llmrec_qdrant.operations.versions import VERSIONED, Versions, mark, missing_ignored, versions
from llmrec_qdrant.space.conditions import equals, set_aside, where
from llmrec_qdrant.space.layout import EARLIER, HIGHEST_VERSION, MIGRATION, Key, Space, read_metadata

__all__ = [
    "VERSION", "VersionState", "clean_up", "complete_version", "drop_orphans", "make_version", "measure", "read_state", "result_of", "rollback", "start",
    "version_of", "write_state",
]  # fmt: skip

VERSION = "version"
"""Key in the cursor and in the result of a job: the number of the version that it fills."""


MAX_EARLIER = 20
"""Settings of earlier vectors that are remembered."""


@dataclass(frozen=True)
class VersionState:
    """The state of a version, stored in the metadata of its items collection."""

    stage: Literal["filling", "switching", "done"] = "filling"
    job: str = ""
    """Id of the job that fills the version."""
    started_at: str = ""


def read_state(space: Space, version: int) -> Steps[VersionState | None]:
    """Return the state of a version; None if no re-embedding created it."""
    metadata = yield from calls.metadata(space.versioned("items", version))
    stored = metadata.get(MIGRATION)
    if not isinstance(stored, dict):
        return None
    return VersionState(**{name: stored[name] for name in VersionState.__dataclass_fields__ if name in stored})


def write_state(space: Space, version: int, state: VersionState) -> Steps[None]:
    """Store the state of a version."""
    yield from calls.update_metadata(space.versioned("items", version), {MIGRATION: asdict(state)})


# --- requesting a re-embedding --------------------------------------------------------------------


def start(
    space: Space, config: SpaceConfig | Mapping[str, Any] | None, changes: Mapping[str, Any], inline: bool
) -> Steps[JobStatus]:
    """Start a job that moves the space to other settings; it is done at once if the live version has them.

    Raises :class:`SpaceMismatch` while a re-embedding to other settings is under way.
    """
    live = yield from load_config(space)
    wanted = SpaceConfig.parse({**live.model_dump(), **changes} if config is None else config)
    stored, new = live.model_dump(mode="json"), wanted.model_dump(mode="json")
    options = ReembedOptions(changes={name: value for name, value in new.items() if value != stored[name]})
    if options.changes:
        return (yield from job_records.start(space, "reembed", options.model_dump(), inline)).status()
    existing = yield from versions(space)
    under_way = yield from job_records.active(space, "reembed")
    state = yield from read_state(space, existing.live)
    if under_way is not None and state is not None and state.job == under_way.id:  # its worker died after the switch
        return (yield from job_records.start(space, "reembed", under_way.options, inline)).status()
    result = yield from result_of(space, existing.live)
    return (yield from job_records.record_done(space, "reembed", options.model_dump(), result)).status()


def make_version(space: Space, number: int, config: SpaceConfig, state: VersionState) -> Steps[None]:
    """Create the collections of a version. The items collection comes last: once it exists, writers write to the version."""
    live = yield from calls.metadata(space.items)
    before = [identity(read_metadata(space, live)), *(live.get(EARLIER) or ())]
    existing = yield from versions(space)
    for other in existing.all:
        if other != number:
            told = {**mark(number), HIGHEST_VERSION: number}
            yield from missing_ignored(calls.update_metadata(space.versioned("items", other), told))
    known: dict[str, Any] = {key: kept for other in (*existing.all, number) for key, kept in mark(other).items()}
    known |= {MIGRATION: asdict(state), EARLIER: before[:MAX_EARLIER], HIGHEST_VERSION: number}
    for kind in reversed(VERSIONED):
        yield from build_collection(kind, space.versioned(kind, number), config, known if kind == "items" else {})


def complete_version(space: Space, number: int) -> Steps[None]:
    """Create the indexes that a version lacks, since whoever created it died before the last of them."""
    config = yield from load_config(space.at(number))
    for kind in VERSIONED:
        yield from build_collection(kind, space.versioned(kind, number), config)


def version_of(space: Space, job: str) -> Steps[int | None]:
    """Return the version that a job fills or filled; None before it exists."""
    existing = yield from versions(space)
    for number in existing.all:
        state = yield from missing_ignored(read_state(space, number))
        if state is not None and state.job == job:
            return number
    return None


# --- progress -------------------------------------------------------------------------------------


def measure(space: Space, version: int) -> Steps[tuple[int, int]]:
    """Count the items and users that are up to date in the version, and all those of the live version."""
    done = total = 0
    for kind in ("items", "users"):
        done += yield from calls.count(space.versioned(kind, version), where(equals(Key.STALE, False)))
        total += yield from calls.count(space.alias(kind))
    return done, total


def result_of(space: Space, version: int) -> Steps[dict[str, Any]]:
    """Return the result of a re-embedding that ended with this version."""
    at = space.at(version)
    config = yield from load_config(at)
    aside = yield from calls.count(at.items, where(set_aside()))
    items = yield from calls.count(at.items)
    users = yield from calls.count(at.users)
    return {VERSION: version, "model": config.encoder_id, "items": items, "users": users, "items_set_aside": aside}


# --- rollback and clean-up ------------------------------------------------------------------------


def rollback(space: Space, wanted: int | None = None) -> Steps[int]:
    """Switch to the version before the live one, or to another complete one; returns its number. All are still written to.

    Raises :class:`NotFound` if there is no such version.
    """
    if wanted is not None and type(wanted) is not int:
        raise InvalidInput(f"a version is a whole number, not {show(wanted)}")
    existing = yield from versions(space)
    ready, unfinished = list[int](), dict[int, str]()
    for number in existing.others:
        try:
            state = yield from read_state(space, number)
        except SpaceNotFound:  # deleted meanwhile
            continue
        if state is None or state.stage == "done":
            ready.append(number)
        else:
            unfinished[number] = state.job
    earlier = [number for number in ready if number < existing.live] if wanted is None else [wanted]
    if not earlier or earlier[-1] not in ready:
        raise _no_version(space, existing, ready, unfinished, wanted)
    state = yield from missing_ignored(read_state(space, existing.live))
    if state is not None:  # its worker may have died right after the switch, and must not switch again
        yield from missing_ignored(write_state(space, existing.live, replace(state, stage="done")))
    yield from switch(space, earlier[-1])
    return earlier[-1]


def _no_version(
    space: Space, existing: Versions, ready: Sequence[int], unfinished: Mapping[int, str], wanted: int | None
) -> NotFound:
    """Return the error that says which versions there are instead."""
    if wanted == existing.live:
        return NotFound(f"version {wanted} of space {space.name!r} is live already")
    others = (
        f"; complete, too: version {ready[-1]}, which `llmrec rollback --to {ready[-1]}` switches to" if ready else ""
    )
    if wanted is not None and wanted in unfinished:
        job = unfinished[wanted]
        return NotFound(
            f"version {wanted} of space {space.name!r} is not complete: `llmrec jobs {job}` shows the job that fills it{others}"
        )
    if wanted is not None:
        return NotFound(f"there is no version {show(wanted)} of space {space.name!r} to switch to{others}")
    why = (
        "its first version is live" if existing.live == 1 else "earlier ones were deleted, or not moved to this Qdrant"
    )
    return NotFound(f"there is no earlier version of space {space.name!r}: {why}{others}")


def clean_up(space: Space) -> Steps[list[int]]:
    """Delete every version that is neither live nor being filled; returns their numbers."""
    existing = yield from versions(space)
    deleted: list[int] = []
    for number in existing.others:
        if not (yield from _is_being_filled(space, number)) and (yield from _dropped(space, number)):
            deleted.append(number)
    return deleted


def drop_orphans(space: Space) -> Steps[list[int]]:
    """Delete unfinished versions whose job has failed or was cancelled; returns their numbers."""
    existing = yield from versions(space)
    deleted: list[int] = []
    for number in existing.others:
        if (yield from _is_orphan(space, number)) and (yield from _dropped(space, number)):
            deleted.append(number)
    return deleted


def _dropped(space: Space, version: int) -> Steps[bool]:
    """Delete a version; False if somebody has switched to it meanwhile."""
    try:
        yield from drop(space, version)
    except SpaceMismatch:
        return False
    return True


def _is_being_filled(space: Space, version: int) -> Steps[bool]:
    """Whether a job under way fills the version. The job is read after the version, so none that begins meanwhile is missed."""
    state = yield from missing_ignored(read_state(space, version))
    if state is None or state.stage == "done":
        return False
    job = yield from job_records.read(space, state.job)
    return job is not None and job.active


def _is_orphan(space: Space, version: int) -> Steps[bool]:
    """Whether a version will never be completed: a job marks its version done before it ends, and this job ended without it."""
    before = yield from missing_ignored(read_state(space, version))
    if before is None or before.stage == "done" or (yield from _is_being_filled(space, version)):
        return False
    after = yield from missing_ignored(read_state(space, version))
    return after is not None and after.stage != "done"
