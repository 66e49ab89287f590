"""Operations of re-embedding: start, watch, roll back, clean up. The filling itself is in workers/migrate.py.

A new version of the space is made beside the live one. From then on every write reaches both, workers copy
what was there before and encode it, and when nothing differs any more one alias call switches items, users,
texts and topics together. The old version stays, kept up to date, until it is dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from qdrant_client import models

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.jobs import Migration
from llmrec_qdrant.contracts.messages import Migrate
from llmrec_qdrant.errors import NotFound, SpaceMismatch, WorkPending
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.operations.spaces import build_collection
from llmrec_qdrant.operations.status import reconcile
from llmrec_qdrant.operations.steps import Sleep, Steps, call, notify
from llmrec_qdrant.operations.versions import VERSIONED, drop, switch, versions
from llmrec_qdrant.space import layout
from llmrec_qdrant.space.layout import MIGRATION, CollectionKind, Key, Space

__all__ = [
    "State",
    "cancel",
    "clean_up",
    "live_with",
    "progress",
    "read_state",
    "rollback",
    "start",
    "wait",
    "write_state",
]


POLL = 0.5
"""Seconds between two looks while workers do the work."""


Stage = Literal["filling", "switching", "done", "failed"]


@dataclass(frozen=True)
class State:
    """Where the filling of a version stands; stored in the metadata of its items collection."""

    stage: Stage = "filling"
    kind: CollectionKind = "items"
    backwards: bool = False
    """False: looking for what the new version lacks; True: for what it has too much."""
    cursor: str | None = None
    differences: int = 0
    """Found in this pass over everything; the pass that finds none ends the filling."""
    reason: str = ""
    started_at: str = ""
    written_at: str = ""
    """When somebody last worked on it; whoever finds this long ago goes on."""


def read_state(space: Space, version: int) -> Steps[State | None]:
    """The state of a version; None if it was not made by re-embedding."""
    found = yield from call("get_collection", collection_name=space.versioned("items", version))
    stored = (found.config.metadata or {}).get(MIGRATION)
    return State(**stored) if isinstance(stored, dict) else None


def write_state(space: Space, version: int, state: State) -> Steps[None]:
    """Store the state of a version, with the time."""
    state = replace(state, written_at=now())
    yield from call(
        "update_collection",
        collection_name=space.versioned("items", version),
        metadata={MIGRATION: {name: getattr(state, name) for name in State.__dataclass_fields__}},
    )


def _filling(space: Space) -> Steps[int | None]:
    found = yield from versions(space)
    for number in found.others:
        state = yield from read_state(space, number)
        if state and state.stage in {"filling", "switching"}:
            return number
    return None


def start(bound: Bound, wanted: SpaceConfig) -> Steps[int]:
    """Make the new version and ask for it to be filled; returns its number. Resumes one with the same configuration.

    Raises :class:`SpaceMismatch` while another re-embedding is under way.
    """
    space = bound.space
    number = yield from _filling(space)
    if number is not None:
        config = yield from _config_of(space, number)
        if config != wanted:
            raise SpaceMismatch(
                f"space {space.name!r} is already being re-embedded with {config.encoder_id}: wait for it, "
                "or stop it with `llmrec reembed --cancel`"
            )
    else:
        yield from clean_up(bound)
        found = yield from versions(space)
        number = found.live + 1
        yield from _make(space, number, wanted)
    yield from notify([Migrate(space=space.name)])
    return number


def live_with(bound: Bound, given: Mapping[str, Any]) -> Steps[int | None]:
    """The number of the live version, if it is made as is wanted and no other is being filled."""
    filling = yield from _filling(bound.space)
    if filling is not None or any(getattr(bound.config, name) != value for name, value in given.items()):
        return None
    return (yield from versions(bound.space)).live


def _make(space: Space, number: int, config: SpaceConfig) -> Steps[None]:
    """Items last: their collection is what makes a version exist for writers."""
    for kind in reversed(VERSIONED):
        name = space.versioned(kind, number)
        if kind != "items":
            yield from call("delete_collection", collection_name=name)  # left over from a start that died
        metadata = {MIGRATION: {**State(started_at=now()).__dict__}} if kind == "items" else {}
        yield from build_collection(kind, name, config, metadata)


def _config_of(space: Space, number: int) -> Steps[SpaceConfig]:
    found = yield from call("get_collection", collection_name=space.versioned("items", number))
    return layout.read_metadata(space, found.config.metadata)


def progress(bound: Bound, number: int) -> Steps[Migration]:
    """How far a version is, counted in Qdrant."""
    space = bound.space
    found = yield from versions(space)
    if number not in found.all:
        raise NotFound(f"space {space.name!r} has no version {number}: it was cancelled or cleaned up")
    config = yield from _config_of(space, number)
    state = yield from read_state(space, number)
    counts: dict[str, int] = {}
    for kind in ("items", "users"):
        collection = space.versioned(kind, number)
        counts[f"{kind}_done"] = yield from _count(collection, Key.STALE, False)
        counts[f"{kind}_total"] = yield from _count(space.alias(kind))
    aside = yield from _count(space.versioned("items", number), Key.SET_ASIDE, True)
    live = found.live == number
    return Migration(
        version=number,
        model=config.encoder_id,
        state="live" if live else state.stage if state else "done",
        set_aside=aside,
        reason=state.reason if state else "",
        **counts,
    )


def wait(
    bound: Bound, number: int, timeout: float | None, tell: Callable[[Migration], None], inline: bool
) -> Steps[Migration]:
    """Until a version is live or has failed; ``inline``: looking for work also does it.

    Raises :class:`WorkPending` after ``timeout`` seconds.
    """
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        found = yield from progress(bound, number)
        tell(found)
        if found.state in {"live", "failed", "done"}:
            return found
        if end is not None and time.monotonic() > end:
            raise WorkPending(
                f"the re-embedding has {found.items_done:,} of {found.items_total:,} items after {timeout:.0f} s: "
                "it goes on by itself while workers run; ask again with progress()"
            )
        if inline:
            yield from reconcile(bound)
        else:
            yield Sleep(POLL)


def _count(collection: str, key: str | None = None, value: bool = True) -> Steps[int]:
    must = [models.FieldCondition(key=key, match=models.MatchValue(value=value))] if key else None
    counted = yield from call("count", collection_name=collection, count_filter=models.Filter(must=must), exact=True)
    total: int = counted.count
    return total


def rollback(bound: Bound) -> Steps[int]:
    """Switch back to the version before; returns its number. The version left behind stays, up to date.

    Raises :class:`NotFound` if there is none.
    """
    space = bound.space
    found = yield from versions(space)
    ready: list[int] = []
    for number in found.others:
        state = yield from read_state(space, number)
        if state is None or state.stage == "done":
            ready.append(number)
    if not ready:
        raise NotFound(f"space {space.name!r} has no earlier version to go back to: it was cleaned up")
    state = yield from read_state(space, found.live)
    if state is not None:  # or the next look would take it for one that waits for its switch
        yield from write_state(space, found.live, State(stage="done", started_at=state.started_at))
    yield from switch(space, ready[-1])
    return ready[-1]


def cancel(bound: Bound) -> Steps[int | None]:
    """Stop a re-embedding under way and delete what it made; returns its number, None if there was none."""
    number = yield from _filling(bound.space)
    if number is not None:
        yield from drop(bound.space, number)
    return number


def clean_up(bound: Bound) -> Steps[list[int]]:
    """Delete every version that is neither live nor being filled; returns their numbers."""
    found = yield from versions(bound.space)
    filling = yield from _filling(bound.space)
    gone: list[int] = []
    for number in found.others:
        if number != filling:
            yield from drop(bound.space, number)
            gone.append(number)
    return gone
