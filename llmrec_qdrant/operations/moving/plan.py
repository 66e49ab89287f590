"""What a move copies: the versions of a space and their collections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import InvalidInput, SpaceMismatch, show
from llmrec_qdrant.operations import calls, job_records
from llmrec_qdrant.operations.reembed import read_state
from llmrec_qdrant.operations.spaces import load_config
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.versions import VERSIONED, only_marks_of, versions
from llmrec_qdrant.queues.base import OnProgress
from llmrec_qdrant.space.layout import COLLECTION_KINDS, MOVE, PLAIN, CollectionKind, Space
from llmrec_qdrant.space.schema import indexes

__all__ = ["MoveOptions", "Plan", "Planned", "WhichVersions", "read_plan"]

WhichVersions = Literal["live", "all"]
"""Which versions are moved: the live one, or also those that rollback can switch to."""


def _silent(stage: str, done: float, total: float | None) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class MoveOptions:
    """Options of a push or pull."""

    versions: WhichVersions = "live"
    replace: bool = False
    """Replace a space that the target holds under this name."""
    on_progress: OnProgress = _silent

    @classmethod
    def of(cls, versions: WhichVersions, replace: bool, on_progress: OnProgress | None) -> MoveOptions:
        """Return checked options.

        Raises :class:`InvalidInput` for unknown ``versions``.
        """
        if versions not in get_args(WhichVersions):
            raise InvalidInput(f"versions must be 'live' or 'all', not {show(versions)}")
        return cls(versions, replace, on_progress or _silent)


@dataclass(frozen=True)
class Planned:
    """One collection to copy."""

    kind: CollectionKind
    version: int
    description: calls.Description

    def name(self, space: Space) -> str:
        """Return its name in a space."""
        return space.versioned(self.kind, self.version)


@dataclass(frozen=True)
class Plan:
    """Everything to copy; two equal plans mean that only points can have changed."""

    live: int
    versions: tuple[int, ...]
    """In ascending order."""
    collections: tuple[Planned, ...]


def read_plan(space: Space, which: WhichVersions) -> Steps[Plan]:
    """Describe the space.

    Raises :class:`SpaceNotFound`; :class:`SpaceMismatch` while a job is under way, since it changes what is copied.
    """
    existing = yield from versions(space)
    yield from _check_quiet(space)
    numbers = [existing.live]
    for number in existing.others if which == "all" else ():
        state = yield from read_state(space, number)
        if state is None or state.stage == "done":
            numbers.append(number)
    collections: list[Planned] = []
    config = yield from load_config(space)
    for kind in (kind for kind in COLLECTION_KINDS if kind in PLAIN):
        collections.append((yield from _planned(space, kind, existing.live, config, numbers)))
    for number in sorted(numbers):
        config = yield from load_config(space.at(number))
        for kind in VERSIONED:
            collections.append((yield from _planned(space, kind, number, config, numbers)))
    return Plan(existing.live, tuple(sorted(numbers)), tuple(collections))


def _planned(
    space: Space, kind: CollectionKind, version: int, config: SpaceConfig, numbers: Sequence[int]
) -> Steps[Planned]:
    """Describe one collection, with every index that its kind needs and those that an admin has added."""
    stored = yield from calls.describe(space.versioned(kind, version))
    metadata = {key: value for key, value in only_marks_of(numbers, stored.metadata).items() if key != MOVE}
    wanted = {**stored.indexes, **indexes(kind, config)}
    return Planned(kind, version, calls.Description(stored.spec, metadata, wanted))


def _check_quiet(space: Space) -> Steps[None]:
    records = yield from job_records.list_records(space)
    active = next((record for record in records if record.active), None)
    if active is not None:
        raise SpaceMismatch(
            f"{active.id} is under way in space {space.name!r}: wait until it ends (`llmrec jobs {active.id}`) or cancel it "
            f"(`llmrec jobs {active.id} --cancel`), then move the space"
        )
