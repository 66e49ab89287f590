"""TODO: workers.topics.record."""

from __future__ import annotations

import logging
import uuid
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

from qdrant_client import QdrantClient, models

from llmrec_qdrant.operations.clock import iso, now
from llmrec_qdrant.operations.translate import translated
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import TOPICS_FIT, Key, Space

from ..items import assign
from ..storage import store
from ..storage.store import SpaceStore
from .fit import LEAST

__all__ = ["Run", "Superseded", "begin", "due", "lost", "outdated", "read", "unfinished"]

log = logging.getLogger("llmrec.worker")


GROWTH = 1.5
"""The topics are fitted anew when there are this many times the items they were fitted on; first only when asked to."""


TENANTS_GROWTH = 1.1
"""The same for tenants, which have no topics before."""


LEASE = 300.0
"""Seconds without a sign of life after which a fit is taken up by somebody else: the longest step is one clustering."""


TRIES = 3
"""Times that an interrupted fit is begun anew."""


FACET = 10_000
"""Most tenants, and most topics, of a space."""


class Superseded(Exception):
    """Another fit was begun: this one has nothing more to say."""


@dataclass(frozen=True)
class Run:
    """How far the last fit is."""

    run: str = ""
    """Name of the fit; empty: there never was one."""
    stage: str = ""
    """fitting, marking, done or failed."""
    topics: int | None = None
    """How many were asked for."""
    tries: int = 0
    beat: str = ""
    """When somebody last worked on it."""
    done: str = ""
    """Name of the last fit that is through."""
    of: str = ""
    """Of a version that is not live: the fit of the live one whose ids and labels it took over."""
    last: int = 0
    """The last number that was given to a topic."""
    items: int = 0
    """Items when it was through."""
    tenants: int = 0
    """Tenants with enough items."""
    made: int = 0
    """Topics it wrote."""


def read(client: QdrantClient, space: Space) -> Run:
    """The state of a version of a space."""
    stored = assign.read_fit(SpaceStore(client, space))
    return Run(**{name: stored[name] for name in Run.__dataclass_fields__ if name in stored})


def _write(client: QdrantClient, space: Space, run: Run) -> Run:
    run = replace(run, beat=now())
    with translated():
        client.update_collection(space.items, metadata={TOPICS_FIT: asdict(run)})
    return run


def _still(client: QdrantClient, space: Space, run: Run) -> None:
    if read(client, space).run != run.run:
        raise Superseded


def begin(client: QdrantClient, space: Space, number: int | None, again: bool = False) -> bool:
    """Begin a fit; from now on it is the one that counts. ``again``: as one was interrupted; False after ``TRIES``."""
    old = read(client, space)
    tries = old.tries + 1 if again and old.stage == "fitting" else 1
    if tries > TRIES:
        log.error("the topics of %s could not be fitted in %d tries", space.items, TRIES)
        _write(client, space, replace(old, stage="failed"))
        return False
    _write(client, space, replace(old, run=uuid.uuid4().hex[:12], stage="fitting", topics=number, tries=tries))
    return True


def unfinished(client: QdrantClient, space: Space) -> bool:
    """Whether a fit has given no sign of life for a while, or left something out."""
    run = read(client, space)
    if run.stage in {"fitting", "marking"}:
        return _silent(run)
    return run.stage == "done" and (
        not _sound(client, space, run) or store.count(client, space.items, _unmarked(run)) > 0
    )


def lost(client: QdrantClient, space: Space) -> bool:
    """Whether a fit must begin anew: nobody is at it any more, or its topics are not those it wrote."""
    run = read(client, space)
    if run.stage == "fitting":
        return _silent(run)
    return run.stage in {"marking", "done"} and not _sound(client, space, run)


def _silent(run: Run) -> bool:
    return run.beat < iso(datetime.now(UTC) - timedelta(seconds=LEASE))


def _sound(client: QdrantClient, space: Space, run: Run) -> bool:
    """The topics that exist are those of the fit: another one that was slow to give up may have written since."""
    mine = store.count(client, space.topics, conditions.where(conditions.equals(Key.FIT, run.run)))
    return mine == run.made and (run.stage == "marking" or mine == store.count(client, space.topics))


def outdated(client: QdrantClient, space: Space, live: Space) -> bool:
    """Whether a version lacks what the last fit gave the ``live`` one."""
    run, wanted = read(client, space), read(client, live)
    if space == live or not wanted.done or run.stage == "failed":
        return False
    return run.of != wanted.done and (not run.done or wanted.of != run.done)


def due(client: QdrantClient, space: Space) -> bool:
    """Whether the catalogue has outgrown topics that somebody once asked for; not in the middle of a load."""
    run = read(client, space)
    if run.stage != "done":
        return False
    items = store.count(client, space.items)
    grown = items >= max(GROWTH * run.items, LEAST) and items > run.items
    if not grown and len(tenants(client, space)) <= TENANTS_GROWTH * run.tenants:
        return False
    return store.count(client, space.items, conditions.where(conditions.stale())) <= items / 100


def tenants(client: QdrantClient, space: Space) -> list[str]:
    """Those with enough items."""
    with translated():
        hits = client.facet(space.items, key=Key.TENANT, limit=FACET).hits
    return [str(hit.value) for hit in hits if hit.count >= LEAST]


def _unmarked(run: Run) -> models.Filter:
    """Encoded items whose topic is of another fit."""
    return models.Filter(must=[conditions.equals(Key.STALE, False)], must_not=[conditions.equals(Key.FIT, run.run)])
