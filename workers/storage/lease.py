"""A poison input never blocks others: who is tried together, who alone, and who is set aside.

Points of a message are first tried together. Before the work the try is recorded on each (so that also a
death of the process counts), after success it is wiped out. A point that was in a failed try is from then on
tried alone, so that only the guilty fail again; after ``LIMIT`` tries alone it is set aside with its reason.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from qdrant_client import QdrantClient, models

from llmrec_qdrant.errors import LlmrecError
from llmrec_qdrant.operations.clock import iso
from llmrec_qdrant.operations.translate import translated
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import Key

__all__ = ["LEASE", "LIMIT", "attempt", "lease_end"]


log = logging.getLogger("llmrec.worker")


LIMIT = 3
"""Tries alone before a point is set aside."""


LEASE = 30.0
"""Seconds for which announced work is not announced again."""


DIED = "the worker died each time while working on it (killed, or out of memory)"


def lease_end(seconds: float = LEASE) -> str:
    """The moment until which a lease that begins now lasts."""
    return iso(datetime.now(UTC) + timedelta(seconds=seconds))


def attempt(
    client: QdrantClient,
    collection: str,
    records: Sequence[models.Record],
    guard: str,
    work: Callable[[list[models.Record]], None],
) -> list[str]:
    """Do ``work`` on stale points; returns the ids that should be tried again.

    ``guard`` is the payload key (``src_hash`` or ``revision``) that changes when a point gets a new source.
    Errors of services (:class:`LlmrecError`) pass through: they are nobody's fault, and the message is retried.
    """
    exhausted = [record for record in records if _tries(record) > LIMIT]
    for record in exhausted:
        _set_aside(client, collection, record, guard, str((record.payload or {}).get(Key.SET_ASIDE_WHY) or DIED))
    left = [record for record in records if _tries(record) <= LIMIT]
    together = [record for record in left if _tries(record) == 0]
    groups = ([together] if together else []) + [[record] for record in left if _tries(record) > 0]
    again: list[str] = []
    for group in groups:
        _claim(client, collection, group, guard)
        try:
            work(group)
        except LlmrecError:
            raise
        except Exception as error:
            again += _failed(client, collection, group, guard, error)
    return again


def _tries(record: models.Record) -> int:
    return int((record.payload or {}).get(Key.ATTEMPTS) or 0)


def _set(client: QdrantClient, collection: str, payload: dict[str, Any], which: models.Filter) -> None:
    with translated():
        client.set_payload(collection, payload, points=which, wait=True)


def _claim(client: QdrantClient, collection: str, group: Sequence[models.Record], guard: str) -> None:
    tried = _tries(group[0]) + 1
    _set(client, collection, {Key.ATTEMPTS: tried, Key.LEASE: lease_end()}, conditions.unchanged(group, guard))


def _failed(
    client: QdrantClient, collection: str, group: Sequence[models.Record], guard: str, error: Exception
) -> list[str]:
    why = _summary(error)
    if len(group) == 1 and _tries(group[0]) >= LIMIT:
        _set_aside(client, collection, group[0], guard, why)
        return []
    if len(group) == 1:
        _set(client, collection, {Key.SET_ASIDE_WHY: why}, conditions.unchanged(group, guard))
    log.warning("%d points of %s will be tried alone: %s", len(group), collection, why)
    return [str(record.id) for record in group]


def _summary(error: Exception) -> str:
    """Kind, message and the innermost places, in a few lines an admin can read."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = ", ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]} (in {places})"


def _set_aside(client: QdrantClient, collection: str, record: models.Record, guard: str, why: str) -> None:
    log.error("set aside %s of %s: %s", record.id, collection, why)
    derived = {Key.STALE: False, Key.SET_ASIDE: True, Key.SET_ASIDE_WHY: why}
    _set(client, collection, derived, conditions.unchanged([record], guard))
