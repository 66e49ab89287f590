"""Sets malformed points aside with the reason, so that they stop nothing and are not looked at again.

A point is malformed if it lacks what its kind needs, or holds it in another type: see ``llmrec_qdrant/space/shapes.py``. An edit
through this package, or `llmrec failures --retry`, takes it up again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from qdrant_client import models

from llmrec_qdrant.operations import calls
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point

from .store import SpaceStore, Store

__all__ = ["FAULTY", "set_aside", "set_events_aside", "split"]

log = logging.getLogger("llmrec.worker")

FAULTY = "the point is malformed: {fault}; write it again through llmrec, or delete it"


def split(
    store: Store, points: Sequence[Point], guard: str = "", keys: Sequence[str] | None = None
) -> tuple[list[Point], dict[str, str]]:
    """Return the sound points, and point id → what is wrong with the others.

    ``guard``: a key that must be a text, since the write of the result depends on it. ``keys`` were read; None: all.
    """
    faults = {point.id: store.fault(point, keys) or _lacks(point, guard) for point in points}
    return [point for point in points if not faults[point.id]], {id: said for id, said in faults.items() if said}


def _lacks(point: Point, guard: str) -> str:
    return "" if not guard or isinstance(point.get(guard), str) else f"{guard!r} is missing, or not a text"


def set_aside(store: Store, faults: Mapping[str, str]) -> None:
    """Set points aside; no digest guards this, as the points may have none."""
    _set_aside(store, faults, {Key.STALE: False, Key.ATTEMPTS: 0}, conditions.stale())


def set_events_aside(space: SpaceStore, faults: Mapping[str, str]) -> None:
    """Set events aside: they count as folded, and no vector is made of them."""
    if faults:  # a space of an earlier release has no such index
        space.run(calls.create_index(space.events.collection, Key.SET_ASIDE, "bool"))
    _set_aside(space.events, faults, {Key.FOLDED: True}, conditions.equals(Key.FOLDED, False))


def _set_aside(store: Store, faults: Mapping[str, str], done: Mapping[str, Any], waiting: models.Condition) -> None:
    """Store why each point is set aside, with ``done``, which ends its waiting, where it is still ``waiting``."""
    for point, said in faults.items():
        reason = FAULTY.format(fault=said)
        log.error("set aside point %s of %s: %s", point, store.collection, reason)
        values = {**done, Key.SET_ASIDE: True, Key.SET_ASIDE_WHY: reason}
        store.set_payload(values, conditions.where(conditions.has_id(point), waiting))
