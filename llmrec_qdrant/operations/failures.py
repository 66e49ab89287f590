"""TODO: llmrec_qdrant.operations.failures."""

from __future__ import annotations

from typing import Any, Literal

from qdrant_client import models

from llmrec_qdrant.contracts.answers import Failure
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.spaces import reconcile
from llmrec_qdrant.operations.steps import Steps, call
from llmrec_qdrant.operations.versions import versions
from llmrec_qdrant.space.conditions import tenant_filter
from llmrec_qdrant.space.layout import FRESH, CollectionKind, Key

__all__ = ["failures", "retry"]


def failures(bound: Bound, limit: int = 100) -> Steps[list[Failure]]:
    """What was set aside, in every version, with its reason."""
    aside = models.FieldCondition(key=Key.SET_ASIDE, match=models.MatchValue(value=True))
    mine = tenant_filter(bound.tenant)
    must: list[Any] = [aside, *([mine] if mine else [])]
    found = yield from versions(bound.space)
    listed: list[Failure] = []
    for number in found.all:
        for kind, name, key in _FAILING:
            page, _ = yield from call(
                "scroll",
                collection_name=bound.space.versioned(kind, number),
                scroll_filter=models.Filter(must=must),
                limit=limit,
                with_payload=[key, Key.SET_ASIDE_WHY],
            )
            for point in page:
                payload = point.payload or {}
                shown = str(payload.get(key) or point.id)[:200]
                listed.append(Failure(kind=name, id=shown, version=number, reason=payload.get(Key.SET_ASIDE_WHY) or ""))
    return listed[:limit]


def retry(bound: Bound) -> Steps[int]:
    """Give everything that was set aside another chance; returns how many points."""
    aside = models.FieldCondition(key=Key.SET_ASIDE, match=models.MatchValue(value=True))
    mine = tenant_filter(bound.tenant)
    which = models.Filter(must=[aside, *([mine] if mine else [])])
    found = yield from versions(bound.space)
    total = 0
    for number in found.all:
        for kind, _, _ in _FAILING:
            collection = bound.space.versioned(kind, number)
            counted = yield from call("count", collection_name=collection, count_filter=which, exact=True)
            if counted.count:
                yield from call("set_payload", collection_name=collection, payload=FRESH, points=which, wait=True)
            total += counted.count
    yield from reconcile(bound)
    return total


_FAILING: tuple[tuple[CollectionKind, Literal["item", "user", "text"], str], ...] = (
    ("items", "item", Key.ITEM_ID),
    ("users", "user", Key.USER_ID),
    ("texts", "text", Key.TEXT),
)
