"""The job that re-embeds a space: fills a new version from the live one and switches to it.

A pass goes over items, texts and users: forwards for points that the new version lacks or has differently, backwards for
points that it should not have (:mod:`workers.storage.align`). The first pass copies everything; later passes find what a
writer missed when it died between two versions. When a pass finds no difference and everything is encoded, the new
version is checked and goes live.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from qdrant_client import models

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.jobs import ReembedOptions
from llmrec_qdrant.contracts.messages import FitCollab, Reconcile
from llmrec_qdrant.errors import JobFailed
from llmrec_qdrant.operations import reembed as operations
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.operations.job_records import COMMITTED
from llmrec_qdrant.operations.reembed import VERSION, VersionState
from llmrec_qdrant.operations.switching import drop, next_number, switch
from llmrec_qdrant.operations.versions import versions
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import DENSE, CollectionKind, Key

from .encoding.loading import load_encoder
from .items import boilerplate
from .items.collab_due import read_collab_fit
from .items.embed import source_text
from .storage.align import POINTS_PER_STEP, align, is_query
from .storage.lease import Done, Lease, More, Outcome
from .storage.store import SpaceStore
from .text.boilerplate import Boilerplate
from .topics import job as topics_job
from .topics import record as topics_record
from .users.derive import made_with

__all__ = ["reembed"]

log = logging.getLogger("llmrec.worker")

COPIED_KINDS: tuple[CollectionKind, ...] = ("items", "texts", "users")
SLICE_SECONDS = 2.0
"""Seconds of work per message: other messages wait for it where one worker serves every queue."""
SAMPLE_SIZE = 32
"""Number of vectors compared with the encoder before the switch."""
MIN_COSINE = 0.98
"""Least cosine of a stored vector and a new one of the same text; encoders in half precision differ a little."""
POSITION = "position"
"""Name in a job's cursor of the position of the pass."""


@dataclass(frozen=True)
class Position:
    """The position of a pass."""

    kind: CollectionKind = "items"
    backwards: bool = False
    """Whether the pass looks for points that the new version should not have, instead of those it lacks."""
    offset: str | None = None
    differences: int = 0
    """Differences found in this pass; a pass without any ends the filling."""

    @classmethod
    def of(cls, cursor: Mapping[str, Any]) -> Position:
        """Read the position that the previous worker stored."""
        return cls(**(cursor.get(POSITION) or {}))

    def after(self, offset: object, differences: int) -> Position | None:
        """Return the position after one page; None at the end of the pass."""
        next_offset = None if offset is None else str(offset)
        following = replace(self, offset=next_offset, differences=self.differences + differences)
        if offset is not None:
            return following
        if not self.backwards:
            return replace(following, backwards=True)
        later = COPIED_KINDS[COPIED_KINDS.index(self.kind) + 1 :]
        return replace(following, kind=later[0], backwards=False) if later else None


def reembed(lease: Lease, store: SpaceStore) -> Outcome:
    """Handle a job of kind ``reembed``."""
    changes = ReembedOptions.parse(lease.options).changes
    number = store.run(operations.version_of(store.space, lease.id))
    if number is None and VERSION in lease.cursor:
        raise JobFailed(
            f"version {lease.cursor[VERSION]} was deleted while it was being filled: start the re-embedding again"
        )
    if number is None and changes:
        number = _make(lease, store, changes)
    elif number is not None and VERSION not in lease.cursor:  # whoever created it may not have come to the end
        store.run(operations.complete_version(store.space, number))
    live = store.run(versions(store.space)).live
    if number is None:
        return Done(store.run(operations.result_of(store.space, live)))
    state = store.run(operations.read_state(store.space, number))
    if number == live or (state is not None and state.stage == "done"):
        return _end(store, number)
    if state is not None and state.stage == "switching":
        return _switch(lease, store, number)
    return _fill(lease, store, store.at(live), store.at(number))


def _make(lease: Lease, store: SpaceStore, changes: Mapping[str, Any]) -> int:
    """Create the new version with the current live settings and the changes; delete older versions that are not live.

    Raises :class:`InvalidInput` or :class:`SpaceMismatch` if the model cannot be used: no version could be filled.
    """
    config = SpaceConfig.parse({**store.config().model_dump(), **changes})
    lease.report("loading the model", 0, 1)
    load_encoder(config)
    store.run(operations.clean_up(store.space))
    number = store.run(next_number(store.space))
    lease.report("creating version", 0, 1)
    lease.save()
    state = VersionState(job=lease.id, started_at=now())
    store.run(operations.make_version(store.space, number, config, state))
    lease.advance(**{VERSION: number})
    return number


# --- filling --------------------------------------------------------------------------------------


def _fill(lease: Lease, store: SpaceStore, old: SpaceStore, new: SpaceStore) -> Outcome:
    """Fill the new version for up to ``SLICE_SECONDS``; switch to it if nothing is missing."""
    position: Position | None = Position.of(lease.cursor)
    end = time.monotonic() + SLICE_SECONDS
    number = new.space.version or 0
    lease.keep(**{VERSION: number})
    while time.monotonic() < end:
        before = position or Position()
        position = _step(old, new, before)
        if position is not None:
            lease.advance(**{POSITION: asdict(position)})
            lease.check()
            continue
        lease.keep(**{POSITION: asdict(Position())})
        more = More() if before.differences else _missing(lease, old, new)
        return more or _check_and_switch(lease, store, number)
    lease.report("copying", *store.run(operations.measure(store.space, number)))
    return More()


def _step(old: SpaceStore, new: SpaceStore, position: Position) -> Position | None:
    """Align one page; returns the next position, None at the end of the pass."""
    source, target = (new, old) if position.backwards else (old, new)
    page, offset = source.of(position.kind).raw.scroll(
        limit=POINTS_PER_STEP, offset=position.offset, payload=[Key.USER_ID, Key.SEARCHED_AT, Key.SRC_HASH]
    )
    ids = [point.id for point in page if not is_query(position.kind, point)]
    if position.backwards:  # points on both sides were compared on the way forwards
        twins = {point.id for point in target.of(position.kind).retrieve(ids, payload=False)}
        ids = [point for point in ids if point not in twins]
    return position.after(offset, align(old, new, position.kind, ids))


def _missing(lease: Lease, old: SpaceStore, new: SpaceStore) -> Outcome | None:
    """Return what must happen before the switch; None if nothing is missing."""
    lease.report("encoding", *new.run(operations.measure(new.space.at(None), new.space.version or 0)))
    if any(_is_behind(old, new, kind) for kind in COPIED_KINDS):
        return More(at_once=False)  # the reconciler announces what is stale, and then this job
    if read_collab_fit(old) and not read_collab_fit(new):
        return More([FitCollab(space=new.name)])
    if topics_record.outdated(new, old):
        return _fit_topics(lease, old, new)
    if _lacks_interests(new):
        return More([Reconcile(space=new.name)])
    return None


def _fit_topics(lease: Lease, old: SpaceStore, new: SpaceStore) -> Outcome:
    try:
        topics_job.fit_version(lease, old, new)
    except topics_record.Superseded:  # somebody began another fit: look again later
        return More(at_once=False)
    return More()


def _is_behind(old: SpaceStore, new: SpaceStore, kind: CollectionKind) -> bool:
    """Whether points without vectors in the new version have vectors in the old one.

    Points that are stale because of a new edit do not count: they still have vectors, as in the old version.
    """
    since = Key.UPDATED_AT if kind == "users" else Key.EMBEDDED_AT
    never = models.IsEmptyCondition(is_empty=models.PayloadField(key=since))
    waiting, _ = new.of(kind).raw.scroll(
        conditions.where(conditions.stale(), never), limit=POINTS_PER_STEP, payload=[Key.USER_ID, Key.SEARCHED_AT]
    )
    ids = [point.id for point in waiting if not is_query(kind, point)]
    twins = old.of(kind).raw.retrieve(ids, [since])
    return len(waiting) == POINTS_PER_STEP or any(point.get(since) for point in twins)


def _lacks_interests(new: SpaceStore) -> bool:
    """Whether a user of the new version was last refreshed before the version had topics."""
    current = made_with(new.config(), topics_record.read(new).done)
    never = models.IsEmptyCondition(is_empty=models.PayloadField(key=Key.UPDATED_AT))
    outdated = conditions.none_of(never, conditions.equals(Key.FOLDING, current), conditions.set_aside())
    return new.users.count(outdated) > 0


# --- switching ------------------------------------------------------------------------------------


def _check_and_switch(lease: Lease, store: SpaceStore, number: int) -> Outcome:
    reason = _wrong_vectors(store.at(number))
    if reason:
        store.run(drop(store.space, number))
        raise JobFailed(f"version {number} was not switched to, and was deleted: {reason}")
    return _switch(lease, store, number)


def _switch(lease: Lease, store: SpaceStore, number: int) -> Outcome:
    """Switch to the new version. Once the stage is recorded, the job can no longer be cancelled."""
    lease.report(COMMITTED, 0, 1)
    lease.save()
    state = store.run(operations.read_state(store.space, number)) or VersionState(job=lease.id)
    store.run(operations.write_state(store.space, number, replace(state, stage="switching")))
    store.run(switch(store.space, number))
    return _end(store, number)


def _end(store: SpaceStore, number: int) -> Outcome:
    state = store.run(operations.read_state(store.space, number))
    if state is not None:
        store.run(operations.write_state(store.space, number, replace(state, stage="done")))
    return Done(store.run(operations.result_of(store.space, number)))


def _wrong_vectors(space: SpaceStore) -> str:
    """Compare a random sample of vectors with the encoder; returns a reason if they differ, else an empty string."""
    encoded = conditions.where(conditions.equals(Key.STALE, False), conditions.equals(Key.LEGS, DENSE))
    request = models.QueryRequest(
        query=models.SampleQuery(sample=models.Sample.RANDOM), filter=encoded, limit=SAMPLE_SIZE, with_payload=True,
        with_vector=[DENSE],
    )  # fmt: skip
    (sample,) = space.items.query([request])
    if not sample:
        return ""
    stored = np.array([point.vectors[DENSE] for point in sample])
    encoder = load_encoder(space.config())
    cosines = np.full(len(sample), -1.0)
    for left_out in {boilerplate.load(space), Boilerplate()}:  # it may have been detected since an item was encoded
        rows = encoder.encode([source_text(point.payload, left_out) for point in sample])
        cosines = np.maximum(cosines, (rows * stored).sum(axis=1) / np.maximum(np.linalg.norm(stored, axis=1), 1e-9))
    worst = int(cosines.argmin())
    if cosines[worst] > MIN_COSINE:
        return ""
    return f"the vector of item {sample[worst].get(Key.ITEM_ID)!r} has cosine {cosines[worst]:.3f} with its text"
