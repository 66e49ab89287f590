"""Lists the points that were set aside after failing too often, and retries them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from llmrec_qdrant.contracts.answers import Failure
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.status import reconcile, unless_unindexed
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.versions import versions
from llmrec_qdrant.query.options import check_limit
from llmrec_qdrant.space.conditions import all_of, set_aside, where
from llmrec_qdrant.space.layout import FRESH, CollectionKind, Key

__all__ = ["list_failures", "retry"]

MAX_NAME_LENGTH = 200
"""Characters of an id or text in a failure."""


@dataclass(frozen=True)
class _Kind:
    """Points that can be set aside."""

    collection: CollectionKind
    name: Literal["item", "user", "text", "event"]
    key: str
    """Payload key that names the point."""
    fresh: Mapping[str, Any] = field(default_factory=lambda: FRESH)
    """What a retry writes."""


_KINDS = (
    _Kind("items", "item", Key.ITEM_ID),
    _Kind("users", "user", Key.USER_ID),
    _Kind("texts", "text", Key.TEXT),
    _Kind("events", "event", Key.EVENT_ID, {Key.FOLDED: False, Key.SET_ASIDE: False}),
)


def _in_every_version(bound: Bound) -> Steps[list[tuple[int, _Kind]]]:
    """Return the versions with the kinds of points that each holds; events belong to the live one."""
    found = yield from versions(bound.space)
    return [(number, kind) for number in found.all for kind in _KINDS if kind.name != "event" or number == found.live]


def list_failures(bound: Bound, limit: int = 100) -> Steps[list[Failure]]:
    """List what was set aside, in every version, with the reason."""
    check_limit(limit)
    condition = all_of(where(set_aside()), bound.mine)
    failures: list[Failure] = []
    for number, kind in (yield from _in_every_version(bound)):
        collection = bound.space.versioned(kind.collection, number)
        keys = [kind.key, Key.SET_ASIDE_WHY]
        reading = calls.scroll(collection, condition, limit=limit, payload=keys)
        page, _ = yield from unless_unindexed(reading, ([], None))
        failures += [
            Failure(
                kind=kind.name,
                id=str(point.get(kind.key, point.id))[:MAX_NAME_LENGTH],
                version=number,
                reason=str(point.get(Key.SET_ASIDE_WHY, "")),
            )
            for point in page
        ]
    return failures[:limit]


def retry(bound: Bound) -> Steps[int]:
    """Retry everything that was set aside; returns the number of points."""
    condition = all_of(where(set_aside()), bound.mine) or where(set_aside())
    total = 0
    for number, kind in (yield from _in_every_version(bound)):
        collection = bound.space.versioned(kind.collection, number)
        waiting = yield from unless_unindexed(calls.count(collection, condition), 0)
        if waiting:
            yield from calls.update_payload(collection, kind.fresh, condition)
        total += waiting
    yield from reconcile(bound)
    return total
