"""Fills a new version of a space from the live one and switches to it.

A pass goes over items, texts and users, first for what the new version lacks or has differently, then for
what it has too much. Every point is brought into line by :func:`align`, which reads both sides until they agree.
The first pass copies everything; later ones find what a writer left behind when it died between two versions.
When a pass finds no difference and everything has been encoded, the new version is checked and switched to.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.messages import FitCollab, FitTopics, Message, Migrate, Reconcile
from llmrec_qdrant.operations import reembed
from llmrec_qdrant.operations.reembed import State
from llmrec_qdrant.operations.spaces import load_config
from llmrec_qdrant.operations.steps import Steps, drive
from llmrec_qdrant.operations.translate import translated
from llmrec_qdrant.operations.versions import switch, versions
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.space import conditions, layout
from llmrec_qdrant.space.conditions import NEVER
from llmrec_qdrant.space.edits import edits
from llmrec_qdrant.space.layout import COLLAB, DENSE, FRESH, WORKERS_OWN, CollectionKind, Key, Space, new_item, new_user
from llmrec_qdrant.space.points import Point, new_point

from .encoding.loading import load_encoder
from .items.collab_due import read_collab_fit
from .items.embed import source_text
from .storage import store
from .storage.store import SpaceStore
from .topics import record as topics_record
from .users.derive import made_with

__all__ = ["advance", "align"]


log = logging.getLogger("llmrec.worker")


KINDS: tuple[CollectionKind, ...] = ("items", "texts", "users")


PAGE = 256
"""Points per step."""


SECONDS = 2.0
"""Work per message: other messages wait for it where one worker serves every queue."""


SAMPLE = 32
"""Vectors compared with the encoder before the switch."""


def advance(client: QdrantClient, space: Space) -> list[Message]:
    """Work on the version that is being filled for some seconds; returns what follows."""

    def run(steps: Steps[Any]) -> Any:
        return drive(steps, client, NoQueue())

    found = run(versions(space))
    for number in found.others:
        state = run(reembed.read_state(space, number))
        if state is None or state.stage not in {"filling", "switching"}:
            continue
        old, new = space.at(found.live), space.at(number)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            state, finished = _step(client, old, new, state)
            if not finished:
                run(reembed.write_state(space, number, state))
                continue
            following = _what_is_missing(client, old, new, state)
            if following is not None:
                run(reembed.write_state(space, number, State(started_at=state.started_at)))
                return following
            return _switch(client, space, number, state)
        return [Migrate(space=space.name)]
    return []


def _step(client: QdrantClient, old: Space, new: Space, state: State) -> tuple[State, bool]:
    """One page; True when the pass is through."""
    here, there = (new, old) if state.backwards else (old, new)
    with translated():
        page, offset = client.scroll(
            here.collection(state.kind), limit=PAGE, offset=state.cursor, with_payload=[Key.USER_ID, Key.SRC_HASH]
        )
        twins = client.retrieve(
            there.collection(state.kind), [record.id for record in page], with_payload=[Key.SRC_HASH]
        )
    ids = [str(record.id) for record in page if not _is_query(state.kind, record)]
    if state.backwards:  # whatever both sides have was compared on the way forwards
        known = {str(record.id) for record in twins}
        ids = [one for one in ids if one not in known]
    differences = state.differences + align(client, old, new, state.kind, ids)
    state = replace(state, cursor=None if offset is None else str(offset), differences=differences)
    if offset is not None:
        return state, False
    if not state.backwards:
        return replace(state, backwards=True), False
    later = KINDS[KINDS.index(state.kind) + 1 :]
    if later:
        return replace(state, kind=later[0], backwards=False), False
    return state, True


def _is_query(kind: CollectionKind, record: models.Record) -> bool:
    """Texts of searches are encoded when they are searched for again; nobody owns them."""
    return kind == "texts" and not (record.payload or {}).get(Key.USER_ID)


def align(client: QdrantClient, old: Space, new: Space, kind: CollectionKind, ids: Sequence[str]) -> int:
    """Bring these points of the new version into line with the old one; returns how many differed.

    Writers go on writing to both sides, old one first. So it reads old, then new, mends the difference, and
    reads again, until a reading shows none: whatever a writer did in between is then on both sides, and a
    point deleted in between does not come back.
    """
    left = list(ids)
    differed: set[str] = set()
    while left:
        with translated():
            there = client.retrieve(
                old.collection(kind), left, with_payload=True, with_vectors=[COLLAB] if kind == "items" else False
            )
            here = client.retrieve(new.collection(kind), left, with_payload=True)
        wanted = {str(record.id): record for record in there}
        present = {str(record.id): record for record in here}
        fresh = [_copy(kind, record) for point, record in wanted.items() if point not in present]
        gone = [point for point in present if point not in wanted]
        changes: list[Any] = []
        changed: list[str] = []
        for point, record in wanted.items():
            if point in present and kind != "users":
                operations = edits(Point.of(present[point]), _source(record))
                changes += operations
                changed += [point] if operations else []
        if fresh:
            with translated():
                client.upsert(new.collection(kind), fresh, wait=True, update_filter=NEVER)
        if changes:
            with translated():
                client.batch_update_points(new.collection(kind), changes, wait=True)
        if gone:
            with translated():
                client.delete(new.collection(kind), models.PointIdsList(points=list(gone)), wait=True)
        left = [*(str(point.id) for point in fresh), *changed, *gone]
        differed.update(left)
    return len(differed)


def _source(record: models.Record) -> dict[str, Any]:
    return {key: value for key, value in Point.of(record).payload.items() if key not in WORKERS_OWN}


def _copy(kind: CollectionKind, record: models.Record) -> models.PointStruct:
    point = Point.of(record)
    if kind == "users":
        start = new_user(point.payload[Key.USER_ID], point.get(Key.TENANT, ""), point.get(Key.REVISION, ""))
        return new_point(point.id, start | {Key.STEER: point.get(Key.STEER, {})})
    source = _source(record)
    if kind != "items":
        return new_point(point.id, {**source, **FRESH, Key.LEGS: []})
    collab = point.sparse(COLLAB)
    popular = {Key.POPULARITY: point.get(Key.POPULARITY, 0.0)}
    return new_point(point.id, new_item(source) | popular, {COLLAB: collab} if collab is not None else {})


def _what_is_missing(client: QdrantClient, old: Space, new: Space, state: State) -> list[Message] | None:
    """What must happen before the switch; None if nothing."""
    if state.differences:
        return [Migrate(space=new.name)]  # one more pass, to see that nothing differs
    if any(_never_done(client, old, new, kind) for kind in KINDS):
        return []  # reconcile has announced it; the next look comes back here
    if read_collab_fit(SpaceStore(client, old)) and not read_collab_fit(SpaceStore(client, new)):
        return [FitCollab(space=new.name), Migrate(space=new.name)]
    if topics_record.outdated(client, new, old):
        return [FitTopics(space=new.name, resume=True), Migrate(space=new.name)]
    if _without_interests(client, new):
        return [Reconcile(space=new.name), Migrate(space=new.name)]
    return None


def _never_done(client: QdrantClient, old: Space, new: Space, kind: CollectionKind) -> bool:
    """Whether readers of the new version would miss something that readers of the old one find.

    Points that are stale for a new edit do not count: they have vectors, as in the old version.
    """
    since = Key.UPDATED_AT if kind == "users" else Key.EMBEDDED_AT
    empty = models.IsEmptyCondition(is_empty=models.PayloadField(key=since))
    with translated():
        waiting, _ = client.scroll(
            new.collection(kind),
            scroll_filter=conditions.where(conditions.stale(), empty),
            limit=PAGE,
            with_payload=[Key.USER_ID],
        )
        ids = [record.id for record in waiting if not _is_query(kind, record)]
        twins = client.retrieve(old.collection(kind), ids, with_payload=[since])
    return len(waiting) == PAGE or any((record.payload or {}).get(since) for record in twins)


def _without_interests(client: QdrantClient, new: Space) -> bool:
    """Whether a user of the new version was last refreshed before it had topics."""
    current = made_with(drive(load_config(new), client, NoQueue()), topics_record.read(client, new).done)
    never = models.IsEmptyCondition(is_empty=models.PayloadField(key=Key.UPDATED_AT))
    outdated = models.Filter(
        must_not=[never, conditions.equals(Key.FOLDING, current), conditions.equals(Key.SET_ASIDE, True)]
    )
    return store.count(client, new.users, outdated) > 0


def _switch(client: QdrantClient, space: Space, number: int, state: State) -> list[Message]:
    reason = _wrong_vectors(client, space.at(number))
    if reason:
        log.error("version %d of %s is not switched to: %s", number, space.name, reason)
        drive(reembed.write_state(space, number, replace(state, stage="failed", reason=reason)), client, NoQueue())
        return []
    drive(reembed.write_state(space, number, replace(state, stage="switching")), client, NoQueue())
    drive(switch(space, number), client, NoQueue())
    drive(reembed.write_state(space, number, replace(state, stage="done")), client, NoQueue())
    return []


def _wrong_vectors(client: QdrantClient, space: Space) -> str:
    """Compares a random sample with the encoder; a sentence if they differ."""
    with translated():
        config: SpaceConfig = layout.read_metadata(space, client.get_collection(space.items).config.metadata)
        done = conditions.where(conditions.equals(Key.STALE, False), conditions.equals(Key.LEGS, DENSE))
        sample = client.query_points(
            space.items, query=models.SampleQuery(sample=models.Sample.RANDOM), query_filter=done, limit=SAMPLE,
            with_payload=True, with_vectors=[DENSE],
        ).points  # fmt: skip
    if not sample:
        return ""
    rows = load_encoder(config).encode([source_text(point.payload or {}) for point in sample])
    stored = np.array([point.vector[DENSE] for point in sample if isinstance(point.vector, dict)])
    cosines = (rows * stored).sum(axis=1) / np.maximum(np.linalg.norm(stored, axis=1), 1e-9)
    if cosines.min() > 0.98:
        return ""
    worst = sample[int(cosines.argmin())]
    return f"the vector of item {(worst.payload or {}).get(Key.ITEM_ID)!r} has cosine {cosines.min():.3f} with its text"
