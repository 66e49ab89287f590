"""Lists the points that were set aside after failing too often, and retries them."""

from __future__ import annotations

from typing import Literal

from llmrec_qdrant.contracts.answers import Failure
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.status import reconcile
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.versions import versions
from llmrec_qdrant.query.options import check_limit
from llmrec_qdrant.space.conditions import all_of, set_aside, where
from llmrec_qdrant.space.layout import FRESH, CollectionKind, Key

__all__ = ["list_failures", "retry"]

MAX_NAME_LENGTH = 200
"""Characters of an id or text in a failure."""

_CAN_FAIL: tuple[tuple[CollectionKind, Literal["item", "user", "text"], str], ...] = (
    ("items", "item", Key.ITEM_ID),
    ("users", "user", Key.USER_ID),
    ("texts", "text", Key.TEXT),
)
"""Collection, kind of failure, and payload key that names the point."""


def list_failures(bound: Bound, limit: int = 100) -> Steps[list[Failure]]:
    """List what was set aside, in every version, with the reason."""
    check_limit(limit)
    condition = all_of(where(set_aside()), bound.mine)
    failures: list[Failure] = []
    for number in (yield from versions(bound.space)).all:
        for kind, name, key in _CAN_FAIL:
            collection = bound.space.versioned(kind, number)
            page, _ = yield from calls.scroll(collection, condition, limit=limit, payload=[key, Key.SET_ASIDE_WHY])
            failures += [
                Failure(
                    kind=name,
                    id=str(point.get(key, point.id))[:MAX_NAME_LENGTH],
                    version=number,
                    reason=point.get(Key.SET_ASIDE_WHY, ""),
                )
                for point in page
            ]
    return failures[:limit]


def retry(bound: Bound) -> Steps[int]:
    """Retry everything that was set aside; returns the number of points."""
    condition = all_of(where(set_aside()), bound.mine) or where(set_aside())
    total = 0
    for number in (yield from versions(bound.space)).all:
        for kind, _, _ in _CAN_FAIL:
            collection = bound.space.versioned(kind, number)
            waiting = yield from calls.count(collection, condition)
            if waiting:
                yield from calls.update_payload(collection, FRESH, condition)
            total += waiting
    yield from reconcile(bound)
    return total
