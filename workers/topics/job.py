"""The job that fits topics: the live version first, then the other versions.

A fit reads a sample of each tenant's items, clusters it, writes the topics and marks every item. If a worker dies during
the clustering, the next one begins the fit again under a new name; marking resumes where it stopped. A fit that merges or
splits topics clusters nothing: all other topics keep their texts.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace

from llmrec_qdrant.contracts.jobs import FitTopicsOptions
from llmrec_qdrant.contracts.messages import Reconcile
from llmrec_qdrant.errors import SpaceNotFound
from llmrec_qdrant.operations import reembed
from llmrec_qdrant.operations.spaces import build_collection
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import Key

from ..items import assign
from ..items.topic_rule import TopicPoint
from ..storage.lease import Done, JobLost, Lease, More, Outcome
from ..storage.store import SpaceStore
from ..users.steering import move_weights
from .edits import Edit, applied
from .fit import Fitted, Sample, fit_sample, how_many
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
        edit = Edit.of(options)
        _check_edit(live, edit)
        run = begin(live, options.topics, asdict(edit) if edit else None)
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
        run = begin(version, run.topics, run.edit)
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
        if version.space == live.space and run.edit:
            _move_weights(version, Edit(**run.edit))
        finish(version, run)
    return True


def _check_edit(live: SpaceStore, edit: Edit) -> None:
    """Raise :class:`NotFound` or :class:`InvalidInput` for an edit that cannot be made, before a fit begins."""
    points = [topic for page in live.topics.pages(None, [Key.TOPIC_ID, Key.TENANT]) for topic in page]
    tenants_of = {topic.payload[Key.TOPIC_ID]: str(topic.get(Key.TENANT, "")) for topic in points}
    edit.check(list(tenants_of))
    if edit.split:
        tenant = tenants_of[edit.split]
        applied(edit, read_sample(live, live, tenant), assign.read_points(live, tenant), 0)


def _move_weights(live: SpaceStore, edit: Edit) -> None:
    for version in live.at(None).versions() if edit.gone else []:
        with suppress(SpaceNotFound):
            move_weights(version, edit.merge[0], edit.gone)


def _fit(lease: Lease, live: SpaceStore, version: SpaceStore, run: Run) -> Run:
    """Cluster tenant by tenant and write the topics. A version that is not live takes over the ids and labels of the live one."""
    config = version.config()
    for store in (version.items, version.topics):
        version.run(build_collection("items" if store is version.items else "topics", store.collection, config))
    is_live = version.space == live.space
    last = max(read(place).last for place in version.at(None).versions())
    wanted = read(live)
    run = replace(run, made=0, last=last, of="" if is_live else wanted.done, kept=wanted.kept)
    owners = tenants(version)
    for number, tenant in enumerate(owners):
        lease.report("fitting topics", number, len(owners))
        run = _fit_tenant(live, version, run, tenant)
    check(version, run)
    edit = Edit(**run.edit)
    kept = [topic for topic in dict.fromkeys([*run.kept, *edit.made]) if topic not in edit.gone]
    return write(version, replace(run, stage="marking", tenants=len(owners), kept=kept))


def _fit_tenant(live: SpaceStore, version: SpaceStore, run: Run, tenant: str) -> Run:
    old = assign.read_points(live, tenant)
    run = replace(run, last=max([run.last, *(int(topic.id) for topic in old)]))
    sample = read_sample(version, live, tenant)
    if run.edit:
        return _edit_tenant(live, run, sample, old)
    items = version.items.count(conditions.where(conditions.equals(Key.TENANT, tenant)))
    before = sum(topic.size for topic in old)
    grown = how_many(items) - how_many(before) if before else 0
    fitted, last = fit_sample(
        sample, run.topics, old, max(0, grown), run.last, run.renews and version.space == live.space, run.kept
    )
    return _written(live, version, replace(run, last=last), tenant, fitted)


def _edit_tenant(live: SpaceStore, run: Run, sample: Sample, old: list[TopicPoint]) -> Run:
    """Merge or split topics. Every topic keeps its texts, also those of tenants whom the edit does not concern."""
    sample, topics, edit, last = applied(Edit(**run.edit), sample, old, run.last)
    fitted, last = fit_sample(sample, None, topics, 0, last, kept={topic.id for topic in topics})
    return _written(live, live, replace(run, last=last, edit=asdict(edit)), sample.tenant, fitted)


def _written(live: SpaceStore, version: SpaceStore, run: Run, tenant: str, fitted: list[Fitted]) -> Run:
    check(version, run)
    run = write(version, replace(run, made=run.made + len(fitted)))
    write_topics(version, live, run, tenant, fitted)
    return run
