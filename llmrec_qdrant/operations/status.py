"""Counts what a space holds and what waits for a worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from qdrant_client import models

from llmrec_qdrant.contracts.answers import SpaceStatus
from llmrec_qdrant.contracts.messages import Reconcile
from llmrec_qdrant.errors import QdrantRefused
from llmrec_qdrant.operations import calls, clock, notes
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.steps import Steps, notify
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.conditions import all_of, equals, where
from llmrec_qdrant.space.layout import BOILERPLATE, DENSE, CollectionKind, Key
from llmrec_qdrant.space.shapes import record

__all__ = ["reconcile", "status", "unless_unindexed"]

T = TypeVar("T")

_ASIDE = "aside"


def status(bound: Bound) -> Steps[SpaceStatus]:
    """Count all points, and those that wait for a worker, in Qdrant."""
    counts: dict[str, int] = {}
    for field, kind, condition in _counted():
        number = yield from unless_unindexed(calls.count(bound.space.alias(kind), all_of(bound.mine, condition)), 0)
        counts[field] = counts.get(field, 0) + number
    aside = counts.pop(_ASIDE)
    boilerplate: list[str] = []
    reported = [clock.in_words("this machine", clock.ahead())] if clock.ahead() else []
    if bound.tenant is None:  # passages and notes may quote other tenants' texts
        metadata = yield from calls.metadata(bound.space.items)
        boilerplate = list(record(metadata, BOILERPLATE).get("passages", ()))
        reported += notes.shown(metadata)
    return SpaceStatus(
        space=bound.space.name,
        model=bound.config.encoder_id,
        set_aside=aside,
        boilerplate=boilerplate,
        notes=reported,
        **counts,
    )


def _counted() -> Iterator[tuple[str, CollectionKind, models.Filter | None]]:
    """Yield each field of the status with its collection and the filter of the points that count."""
    kinds: tuple[CollectionKind, ...] = ("items", "users", "events", "texts")
    for kind in kinds:
        yield kind, kind, None
    yield (
        "items_unreadable",
        "items",
        models.Filter(must=[equals(Key.STALE, False)], must_not=[equals(Key.LEGS, DENSE), conditions.set_aside()]),
    )
    yield "events_unfolded", "events", where(equals(Key.FOLDED, False))
    for kind in kinds:
        if kind != "events":
            yield f"{kind}_stale", kind, where(conditions.stale())
        yield _ASIDE, kind, where(conditions.set_aside())


def unless_unindexed(steps: Steps[T], otherwise: T) -> Steps[T]:
    """Run steps that filter events by a key that has an index only since the first event was set aside."""
    try:
        return (yield from steps)
    except QdrantRefused as error:
        if "Index required" not in str(error):
            raise
        return otherwise


def reconcile(bound: Bound) -> Steps[bool]:
    """Ask a worker to find all pending work; False if the queue did not accept the message."""
    return (yield from notify([Reconcile(space=bound.space.name, everything=True)]))
