"""Brings points of a new version into line with the live one while writers keep writing to both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qdrant_client import models

from llmrec_qdrant.operations.batching import batches, by_size
from llmrec_qdrant.space.conditions import NEVER, only
from llmrec_qdrant.space.edits import edits
from llmrec_qdrant.space.layout import COLLAB, WORKERS_OWN, CollectionKind, Key, new_item, new_text, new_user
from llmrec_qdrant.space.points import Point, new_point

from .store import TEXTS_PER_READ, SpaceStore

__all__ = ["POINTS_PER_STEP", "align", "is_query"]

POINTS_PER_STEP = 256
"""Points compared per step."""
POINT_CHARACTERS = 4_000
"""Characters of a point in a request, besides its texts."""


def is_query(kind: CollectionKind, point: Point) -> bool:
    """Whether a point is the text of a search, which is no part of a history: it is encoded when it is searched for again.

    Earlier releases stored no date, and searches under nobody.
    """
    return kind == "texts" and bool(point.get(Key.SEARCHED_AT) or not point.get(Key.USER_ID))


def align(old: SpaceStore, new: SpaceStore, kind: CollectionKind, ids: Sequence[str]) -> int:
    """Bring these points of the new version into line with the old one; returns how many differed.

    Writers keep writing to both sides, the old one first. So this reads old, then new, mends the difference, and repeats
    until there is none: a concurrent write is then on both sides, and a concurrently deleted point does not come back. Malformed
    points are copied as they are, but for users without an id: users are made from events. Of texts, memory holds a few at a time.
    """
    size = POINTS_PER_STEP if kind == "users" else TEXTS_PER_READ
    return sum(_align(old, new, kind, some) for some in batches(ids, size))


def _align(old: SpaceStore, new: SpaceStore, kind: CollectionKind, ids: Sequence[str]) -> int:
    left = list(ids)
    differed: set[str] = set()
    while left:
        found = old.of(kind).raw.retrieve(left, vectors=_copied_vectors(kind))
        wanted = {point.id: point for point in found if kind != "users" or isinstance(point.get(Key.USER_ID), str)}
        present = {point.id: point for point in new.of(kind).raw.retrieve(left)}
        left = _mend(new, kind, wanted, present)
        differed.update(left)
    return len(differed)


def _mend(new: SpaceStore, kind: CollectionKind, wanted: dict[str, Point], present: dict[str, Point]) -> list[str]:
    """Mend the differences of one reading; returns the ids that differed."""
    missing = [point for point in wanted if point not in present]
    extra = [point for point in present if point not in wanted]
    changes = {} if kind == "users" else {
        point: edits(present[point], _source(wanted[point])) for point in wanted if point in present
    }  # fmt: skip
    changed = [point for point, operations in changes.items() if operations]
    for some in by_size(missing, lambda point: _length(wanted[point])):
        new.of(kind).upsert([_copy(kind, wanted[point]) for point in some], only_if=NEVER)
    for some in by_size(changed, lambda point: _length(wanted[point])):
        new.of(kind).update([operation for point in some for operation in changes[point]])
    if extra:
        new.of(kind).delete(only(*extra))
    return [*missing, *changed, *extra]


def _length(point: Point) -> int:
    """Return about how many characters a point takes in a request."""
    return POINT_CHARACTERS + sum(len(value) for value in point.payload.values() if isinstance(value, str))


def _copied_vectors(kind: CollectionKind) -> bool | Sequence[str]:
    return [COLLAB] if kind == "items" else False


def _source(point: Point) -> dict[str, Any]:
    return {key: value for key, value in point.payload.items() if key not in WORKERS_OWN}


def _copy(kind: CollectionKind, point: Point) -> models.PointStruct:
    """Return the point as the new version starts with it: its source, and nothing that depends on the encoder."""
    if kind == "users":
        start = new_user(point.payload[Key.USER_ID], point.get(Key.TENANT, ""), point.get(Key.REVISION, ""))
        return new_point(point.id, start | {Key.STEER: point.get(Key.STEER, {})})
    source = _source(point)
    if kind != "items":
        return new_point(point.id, new_text(source))
    collab = point.sparse(COLLAB)
    popularity = {Key.POPULARITY: point.get(Key.POPULARITY, 0.0)}
    return new_point(point.id, new_item(source) | popularity, {} if collab is None else {COLLAB: collab})
