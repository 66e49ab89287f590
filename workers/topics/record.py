"""The record of a version's last fit of topics, stored in the metadata of its items collection.

Every fit has a unique name. A new fit overwrites the name in the record, so the latest fit wins, and an earlier one stops
at its next step. Every topic and item carries the name of its fit, so incomplete work is visible.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from qdrant_client import models

from llmrec_qdrant.contracts.answers import MIN_TOPIC_ITEMS
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import TOPICS_FIT, Key

from ..items import assign
from ..storage.store import SpaceStore

__all__ = [
    "MAX_FACET", "Run", "Superseded", "begin", "check", "due", "interrupted", "is_sound", "outdated", "read", "tenants", "unfinished",
    "unmarked", "write",
]  # fmt: skip

ITEMS_GROWTH = 1.5
"""Topics are fitted again when the number of items has grown by this factor."""
TENANTS_GROWTH = 1.1
"""The same for tenants with enough items, since a new tenant has no topics."""
MAX_FACET = 10_000
"""Limit on tenants, and on topics, of a space."""


class Superseded(Exception):
    """Another fit of this version has begun: stop."""


@dataclass(frozen=True)
class Run:
    """The last fit of a version."""

    run: str = ""
    """Name of the fit; empty: there was none."""
    stage: str = ""
    """fitting, marking or done."""
    topics: int | None = None
    """Requested number of topics, if it is fixed."""
    done: str = ""
    """Name of the last completed fit."""
    of: str = ""
    """For a version that is not live: the fit of the live version whose ids and labels it took over."""
    last: int = 0
    """Highest number used as a topic id."""
    items: int = 0
    """Number of items at its completion."""
    tenants: int = 0
    """Number of tenants with enough items."""
    renews: bool = False
    """Whether another number of topics was asked for than before, so that labels are chosen again."""
    made: int = 0
    """Number of topics that it wrote."""
    edit: dict[str, Any] = field(default_factory=dict)
    """What a person asked this fit to change (:class:`workers.topics.edits.Edit`); empty for any other fit."""
    kept: list[str] = field(default_factory=list)
    """Ids of the topics that a person merged or split: their texts stay together in every later fit."""


def read(space: SpaceStore) -> Run:
    """Read the record of a version."""
    stored = assign.read_fit(space)
    return Run(**{name: stored[name] for name in Run.__dataclass_fields__ if name in stored})


def write(space: SpaceStore, run: Run) -> Run:
    """Store the record of a version."""
    space.items.update_metadata({TOPICS_FIT: asdict(run)})
    return run


def check(space: SpaceStore, run: Run) -> None:
    """Raise :class:`Superseded` if another fit has begun since."""
    if read(space).run != run.run:
        raise Superseded


def begin(space: SpaceStore, topics: int | None, edit: Mapping[str, Any] | None = None) -> Run:
    """Begin a fit, which supersedes any other; it renews labels if it asks for another number, or takes up one that did.

    A fit that makes an ``edit`` renews nothing, and the number of topics is fixed no longer.
    """
    last = read(space)
    renews = (topics is not None and topics != last.topics) or (last.renews and last.stage == "fitting")
    run = replace(last, run=uuid.uuid4().hex[:12], stage="fitting", topics=topics, renews=renews, edit=dict(edit or {}))
    return write(space, replace(run, topics=None, renews=False) if edit else run)


def unfinished(space: SpaceStore) -> bool:
    """Whether the last completed fit left gaps: items without its mark, or topics that are not its own."""
    run = read(space)
    return run.stage == "done" and (not is_sound(space, run) or space.items.count(unmarked(run)) > 0)


def interrupted(space: SpaceStore) -> bool:
    """Whether a fit has begun and not been completed.

    This is normal while a job runs. After a completed job, it means that a slow worker began another fit before noticing
    that its own job had been cancelled. After a failed or cancelled job, it is left as it is.
    """
    return read(space).stage in {"fitting", "marking"}


def is_sound(space: SpaceStore, run: Run) -> bool:
    """Whether the existing topics are those of the fit, and whole; a slower fit may have written since."""
    own = space.topics.count(conditions.where(conditions.equals(Key.FIT, run.run)))
    if own != run.made or (run.stage != "marking" and own != space.topics.count()):
        return False
    return not any(space.topics.fault(topic) for page in space.topics.raw.pages() for topic in page)


def outdated(space: SpaceStore, live: SpaceStore) -> bool:
    """Whether a version lacks the topics of the last fit of the ``live`` version."""
    run, wanted = read(space), read(live)
    if space.space == live.space or not wanted.done:
        return False
    return run.of != wanted.done and (not run.done or wanted.of != run.done)


def due(space: SpaceStore) -> bool:
    """Whether the catalogue has outgrown its topics; False without topics, and during a load."""
    run = read(space)
    if run.stage != "done":
        return False
    items = space.items.count()
    grown = items >= max(ITEMS_GROWTH * run.items, MIN_TOPIC_ITEMS) and items > run.items
    if not grown and len(tenants(space)) <= TENANTS_GROWTH * run.tenants:
        return False
    return space.items.count(conditions.where(conditions.stale())) <= items / 100


def tenants(space: SpaceStore) -> list[str]:
    """Return the tenants with enough items for topics."""
    return [
        tenant for tenant, items in space.items.facet(Key.TENANT, limit=MAX_FACET).items() if items >= MIN_TOPIC_ITEMS
    ]


def unmarked(run: Run) -> models.Filter:
    """Match encoded items that the fit has not marked."""
    return models.Filter(must=[conditions.equals(Key.STALE, False)], must_not=[conditions.equals(Key.FIT, run.run)])
