"""The job that fits topics: the live version first, then the other versions.

A fit reads a sample of each tenant's items, clusters it, writes the topics and marks every item. If a worker dies during
the clustering, the next one begins the fit again under a new name; marking resumes where it stopped.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from llmrec_qdrant.contracts.jobs import FitTopicsOptions
from llmrec_qdrant.contracts.messages import Reconcile
from llmrec_qdrant.errors import SpaceNotFound
from llmrec_qdrant.operations import reembed
from llmrec_qdrant.operations.spaces import build_collection
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import Key

from ..items import assign
from ..storage.lease import Done, JobLost, Lease, More, Outcome
from ..storage.store import SpaceStore
from .fit import fit_sample, how_many
from .marking import finish, mark
from .record import Run, Superseded, begin, check, is_sound, outdated, read, tenants, write
from .sample import read_sample
from .writing import write_topics

__all__ = ["fit_topics", "fit_version"]

CURSOR_RUN = "run"
"""Name in a job's cursor of the fit that it began on the live version."""


def fit_topics(lease: Lease, store: SpaceStore) -> Outcome:
    """Handle a job of kind ``fit-topics``."""
    options = FitTopicsOptions.parse(lease.options)
    live, *others = store.versions()
    try:
        if not _fit_live(lease, live, options):
            return More()
    except Superseded:
        raise JobLost from None
    for version in others:
        if _filling(version):
            continue  # the re-embedding fits it before the switch
        with suppress(SpaceNotFound, Superseded):
            if not fit_version(lease, live, version):
                return More()
    return Done({"topics": live.topics.count()}, [Reconcile(space=store.name, everything=True)])


def _filling(version: SpaceStore) -> bool:
    state = version.run(reembed.read_state(version.space, version.space.version or 1))
    stale = version.items.count(conditions.where(conditions.stale()))
    return stale > 0 or (state is not None and state.stage != "done")


def _fit_live(lease: Lease, live: SpaceStore, options: FitTopicsOptions) -> bool:
    run = read(live)
    if not options.repair and run.run != lease.cursor.get(CURSOR_RUN):
        run = begin(live, options.topics)
        lease.keep(**{CURSOR_RUN: run.run})
        lease.save()
        return _complete(lease, live, live, run)
    return fit_version(lease, live, live)


def fit_version(lease: Lease, live: SpaceStore, version: SpaceStore) -> bool:
    """Complete the fit of a version, or begin one if necessary; returns False if time ran out before all items were marked.

    Raises :class:`Superseded` if another worker begins another fit of this version.
    """
    run = read(version)
    if run.stage == "fitting" or (run.stage and not is_sound(version, run)):
        run = begin(version, run.topics)
    elif outdated(version, live):
        run = begin(version, read(live).topics)
    if version.space == live.space:
        lease.keep(**{CURSOR_RUN: run.run})
    return _complete(lease, live, version, run)


def _complete(lease: Lease, live: SpaceStore, version: SpaceStore, run: Run) -> bool:
    if run.stage == "fitting":
        run = _fit(lease, live, version, run)
        lease.advance()
        lease.save()
    if run.stage not in {"marking", "done"}:
        return True
    if not mark(lease, version, run):
        return False
    if run.stage == "marking":
        finish(version, run)
    return True


def _fit(lease: Lease, live: SpaceStore, version: SpaceStore, run: Run) -> Run:
    """Cluster tenant by tenant and write the topics. A version that is not live takes over the ids and labels of the live one."""
    config = version.config()
    for store in (version.items, version.topics):
        version.run(build_collection("items" if store is version.items else "topics", store.collection, config))
    is_live = version.space == live.space
    last = max(read(place).last for place in version.at(None).versions())
    run = replace(run, made=0, last=last, of="" if is_live else read(live).done)
    owners = tenants(version)
    for number, tenant in enumerate(owners):
        lease.report("fitting topics", number, len(owners))
        run = _fit_tenant(live, version, run, tenant)
    check(version, run)
    return write(version, replace(run, stage="marking", tenants=len(owners)))


def _fit_tenant(live: SpaceStore, version: SpaceStore, run: Run, tenant: str) -> Run:
    old = assign.read_points(live, tenant)
    run = replace(run, last=max([run.last, *(int(topic.id) for topic in old)]))
    sample = read_sample(version, live, tenant)
    items = version.items.count(conditions.where(conditions.equals(Key.TENANT, tenant)))
    before = sum(topic.size for topic in old)
    grown = how_many(items) - how_many(before) if before else 0
    fitted, last = fit_sample(
        sample, run.topics, old, max(0, grown), run.last, run.renews and version.space == live.space
    )
    check(version, run)
    run = write(version, replace(run, last=last, made=run.made + len(fitted)))
    write_topics(version, live, run, tenant, fitted)
    return run
