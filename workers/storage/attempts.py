"""Retries work on points, and sets a point aside that fails every time, so that it never blocks others.

The points of a message are first tried together. The try is recorded on each point before the work starts, so that a
crash of the process counts too; success clears the record. After a failed try, each of its points is tried alone, so only
the one to blame fails again. After ``MAX_SOLO_TRIES`` failures alone, it is set aside with the reason.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta

from qdrant_client import models

from llmrec_qdrant.errors import LlmrecError, QdrantRefused
from llmrec_qdrant.operations.clock import iso, present
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point

from .store import Store

__all__ = ["MAX_SOLO_TRIES", "POINT_LEASE_SECONDS", "attempt", "lease_end", "leased"]

log = logging.getLogger("llmrec.worker")

MAX_SOLO_TRIES = 3
"""Tries alone before a point is set aside."""
POINT_LEASE_SECONDS = 30.0
"""Seconds during which announced work on a point is not announced again."""
WORKER_DIED = "the worker died each time while working on it (killed, or out of memory)"


def lease_end(seconds: float = POINT_LEASE_SECONDS) -> str:
    """Return the end of a lease that begins now, as an ISO timestamp."""
    return iso(present() + timedelta(seconds=seconds))


def leased() -> models.FieldCondition:
    """Match points whose lease has not ended. An end further away than a lease lasts comes from a clock that runs ahead: no lease."""
    begun = present()
    return models.FieldCondition(
        key=Key.LEASE, range=models.DatetimeRange(gt=begun, lte=begun + timedelta(seconds=2 * POINT_LEASE_SECONDS))
    )


def attempt(store: Store, points: Sequence[Point], guard: str, work: Callable[[list[Point]], None]) -> list[str]:
    """Do ``work`` on stale points; returns the ids to retry.

    ``guard`` is the payload key (``src_hash`` or ``revision``) that changes when a point gets a new source. Raises
    :class:`LlmrecError` if a service fails: then no point is to blame, and the message is retried. What Qdrant refuses to store is
    the fault of a point, or will not pass before somebody raises a limit: it is set aside with the reason.
    """
    again: list[str] = []
    for point in points:
        if _tries(point) > MAX_SOLO_TRIES:
            _set_aside(store, point, guard, str(point.get(Key.SET_ASIDE_WHY, WORKER_DIED)))
    for group in _groups([point for point in points if _tries(point) <= MAX_SOLO_TRIES]):
        _record_try(store, group, guard)
        try:
            work(group)
        except Exception as error:
            if isinstance(error, LlmrecError) and not isinstance(error, QdrantRefused):
                raise
            again += _failed(store, group, guard, error)
    return again


def _groups(points: Sequence[Point]) -> list[list[Point]]:
    """Group the points without a failed try; each of the others forms a group of its own, those with the fewest tries first."""
    together = [point for point in points if not _tries(point)]
    alone = [[point] for point in sorted(points, key=_tries) if _tries(point)]
    return [together, *alone] if together else alone


def _tries(point: Point) -> int:
    return int(point.get(Key.ATTEMPTS, 0))


def _record_try(store: Store, group: Sequence[Point], guard: str) -> None:
    values = {Key.ATTEMPTS: _tries(group[0]) + 1, Key.LEASE: lease_end()}
    store.set_payload(values, conditions.unchanged(group, guard))


def _failed(store: Store, group: Sequence[Point], guard: str, error: Exception) -> list[str]:
    """Record the failure; returns the ids to retry alone."""
    reason = _summary(error)
    if len(group) == 1 and _tries(group[0]) >= MAX_SOLO_TRIES:
        _set_aside(store, group[0], guard, reason)
        return []
    if len(group) == 1:
        store.set_payload({Key.SET_ASIDE_WHY: reason}, conditions.unchanged(group, guard))
    log.warning("work on %d points of %s failed, trying each of them alone: %s", len(group), store.collection, reason)
    return [point.id for point in group]


def _summary(error: Exception) -> str:
    """Return type, message and innermost frames of an error on one line."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = ", ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]} (in {places})"


def _set_aside(store: Store, point: Point, guard: str, reason: str) -> None:
    log.error("set aside point %s of %s: %s", point.id, store.collection, reason)
    values = {Key.STALE: False, Key.SET_ASIDE: True, Key.SET_ASIDE_WHY: reason}
    store.set_payload(values, conditions.unchanged([point], guard))
