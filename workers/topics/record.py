"""How far the fit of topics of a version is: the record in the metadata of its items collection.

A fit has a name of its own. Who begins another one writes that name over it, so the latest fit wins, and the one before
stops at its next step. Every topic and every item carries the name of its fit, so whatever was missed shows.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, replace

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
"""Topics are fitted again when there are this many times the items they were fitted on."""
TENANTS_GROWTH = 1.1
"""The same for tenants with enough items; a new tenant has no topics."""
MAX_FACET = 10_000
"""Limit on tenants, and on topics, of a space."""


class Superseded(Exception):
    """Another fit of this version was begun: stop."""


@dataclass(frozen=True)
class Run:
    """The last fit of a version."""

    run: str = ""
    """Name of the fit; empty: there was none."""
    stage: str = ""
    """fitting, marking or done."""
    topics: int | None = None
    """Number of topics that was asked for."""
    done: str = ""
    """Name of the last fit that was completed."""
    of: str = ""
    """Of a version that is not live: the fit of the live one whose ids and labels it took over."""
    last: int = 0
    """Highest number given to a topic."""
    items: int = 0
    """Items when it was completed."""
    tenants: int = 0
    """Tenants with enough items."""
    made: int = 0
    """Topics it wrote."""


def read(space: SpaceStore) -> Run:
    """The record of a version."""
    stored = assign.read_fit(space)
    return Run(**{name: stored[name] for name in Run.__dataclass_fields__ if name in stored})


def write(space: SpaceStore, run: Run) -> Run:
    """Store the record of a version."""
    space.items.update_metadata({TOPICS_FIT: asdict(run)})
    return run


def check(space: SpaceStore, run: Run) -> None:
    """Raises :class:`Superseded` if another fit was begun since."""
    if read(space).run != run.run:
        raise Superseded


def begin(space: SpaceStore, topics: int | None) -> Run:
    """Begin a fit; from now on it is the one that counts."""
    return write(space, replace(read(space), run=uuid.uuid4().hex[:12], stage="fitting", topics=topics))


def unfinished(space: SpaceStore) -> bool:
    """Whether the last fit that was completed has left something out: items without its mark, topics that are not its own."""
    run = read(space)
    return run.stage == "done" and (not is_sound(space, run) or space.items.count(unmarked(run)) > 0)


def interrupted(space: SpaceStore) -> bool:
    """Whether a fit was begun and not completed.

    While a job is under way that says nothing. After one that is done, a slower worker whose job had been cancelled began
    another fit before it noticed. After one that failed or was cancelled, it is to stay so.
    """
    return read(space).stage in {"fitting", "marking"}


def is_sound(space: SpaceStore, run: Run) -> bool:
    """Whether the topics that exist are those of the fit: a slower one may have written since."""
    own = space.topics.count(conditions.where(conditions.equals(Key.FIT, run.run)))
    return own == run.made and (run.stage == "marking" or own == space.topics.count())


def outdated(space: SpaceStore, live: SpaceStore) -> bool:
    """Whether a version lacks what the last fit gave the ``live`` one."""
    run, wanted = read(space), read(live)
    if space.space == live.space or not wanted.done:
        return False
    return run.of != wanted.done and (not run.done or wanted.of != run.done)


def due(space: SpaceStore) -> bool:
    """Whether the catalogue has outgrown topics that somebody once asked for; not in the middle of a load."""
    run = read(space)
    if run.stage != "done":
        return False
    items = space.items.count()
    grown = items >= max(ITEMS_GROWTH * run.items, MIN_TOPIC_ITEMS) and items > run.items
    if not grown and len(tenants(space)) <= TENANTS_GROWTH * run.tenants:
        return False
    return space.items.count(conditions.where(conditions.stale())) <= items / 100


def tenants(space: SpaceStore) -> list[str]:
    """Tenants with enough items."""
    return [
        tenant for tenant, items in space.items.facet(Key.TENANT, limit=MAX_FACET).items() if items >= MIN_TOPIC_ITEMS
    ]


def unmarked(run: Run) -> models.Filter:
    """Encoded items whose topic is of another fit."""
    return models.Filter(must=[conditions.equals(Key.STALE, False)], must_not=[conditions.equals(Key.FIT, run.run)])
