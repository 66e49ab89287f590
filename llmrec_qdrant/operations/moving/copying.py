"""Copies and compares points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from qdrant_client import models

from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.batching import by_size
from llmrec_qdrant.operations.moving.plan import Plan, Planned
from llmrec_qdrant.operations.moving.sides import Side
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.space.conditions import only
from llmrec_qdrant.space.differences import difference
from llmrec_qdrant.space.layout import PLAIN

__all__ = ["Tally", "transfer"]

PAGE, PAYLOAD_PAGE = 128, 256
"""Points of one request, with vectors and without."""

Show = Callable[[str, int, int], None]
"""Called with a collection, the points done and all points of the pass."""


@dataclass
class Tally:
    """What one pass over all points did."""

    points: dict[str, int] = field(default_factory=dict)
    """Collection of the target → points of the source."""
    written: int = 0
    removed: int = 0
    difference: str = ""
    """The last difference between the sides, in words; empty if there was none."""

    @property
    def done(self) -> int:
        """Points looked at."""
        return sum(self.points.values())


@dataclass(frozen=True)
class _Pair:
    """A collection and its copy."""

    source: Side
    target: Side
    planned: Planned

    @property
    def original(self) -> str:
        return self.planned.name(self.source.space)

    @property
    def copy(self) -> str:
        return self.planned.name(self.target.space)


def transfer(source: Side, target: Side, plan: Plan, show: Show) -> Steps[Tally]:
    """Go once through all points: write to the target what differs, and delete there what the source does not have."""
    tally = Tally()
    pairs = [_Pair(source, target, planned) for planned in plan.collections]
    total = 0
    for pair in pairs:
        total += yield from source.do(calls.count(pair.original))
    for pair in pairs:
        yield from _write_missing(pair, tally, lambda: show(pair.copy, tally.done, total))  # noqa: B023
        yield from _delete_extra(pair, tally)
    return tally


def _write_missing(pair: _Pair, tally: Tally, show: Callable[[], None]) -> Steps[None]:
    """Write every point that the copy lacks or holds with other values; an empty copy lacks them all."""
    empty = (yield from pair.target.do(calls.count(pair.copy))) == 0
    limit = PAYLOAD_PAGE if pair.planned.kind in PLAIN else PAGE
    tally.points[pair.copy] = 0
    offset: calls.Offset = None
    while True:
        points, offset = yield from pair.source.do(calls.whole_page(pair.original, limit=limit, offset=offset))
        ids = [] if empty else [str(point.id) for point in points]
        stored = yield from pair.target.do(calls.whole_points(pair.copy, ids))
        differing = [point for point in points if _differs(pair, point, stored.get(str(point.id)), tally)]
        for some in by_size(differing, _length):
            yield from pair.target.do(calls.upsert(pair.copy, some))
        tally.written += len(differing)
        tally.points[pair.copy] += len(points)
        show()
        if offset is None:
            return


def _length(point: models.PointStruct) -> int:
    """Return the number of characters of a point's texts; all else is small beside a request."""
    return sum(len(value) for value in (point.payload or {}).values() if isinstance(value, str))


def _differs(pair: _Pair, point: models.PointStruct, stored: models.PointStruct | None, tally: Tally) -> bool:
    what = "is missing" if stored is None else difference(point, stored)
    if what:
        tally.difference = f"point {point.id} of {pair.copy}: {what}"
    return bool(what)


def _delete_extra(pair: _Pair, tally: Tally) -> Steps[None]:
    """Delete the points of the copy that the source no longer has; only a copy with more points can have some."""
    if (yield from pair.target.do(calls.count(pair.copy))) <= tally.points[pair.copy]:
        return
    offset: calls.Offset = None
    while True:
        page, offset = yield from pair.target.do(
            calls.scroll(pair.copy, limit=PAYLOAD_PAGE, offset=offset, payload=False)
        )
        yield from _delete_if_gone(pair, [point.id for point in page], tally)
        if offset is None:
            return


def _delete_if_gone(pair: _Pair, ids: Sequence[str], tally: Tally) -> Steps[None]:
    present = yield from pair.source.do(calls.retrieve(pair.original, ids, payload=False))
    gone = sorted(set(ids) - {point.id for point in present})
    if gone:
        yield from pair.target.do(calls.delete(pair.copy, only(*gone)))
        tally.removed += len(gone)
        tally.difference = f"point {gone[-1]} of {pair.copy}: is no longer in the source"
