"""Keeps requests within the `max_query_limit` of a collection, which managed Qdrant may set (strict mode).

The limit is looked up when Qdrant first refuses a request because of it, and remembered: servers without one cost nothing. A longer
page is read in several requests; a list is built on fewer candidates per leg.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from qdrant_client import models

from llmrec_qdrant.errors import QdrantRefused
from llmrec_qdrant.operations.steps import Steps, call

__all__ = ["bounded", "capped", "limit_of", "pages_within"]

T = TypeVar("T")

_known: dict[str, int | None] = {}
"""Collection → its limit, None without one. A collection of the same name on another server only gets smaller pages."""


def bounded(collection: str, ask: Callable[[int | None], Steps[T]]) -> Steps[T]:
    """Ask with the limit that is known; if Qdrant refuses, look the limit up and ask again."""
    before = _known.get(collection)
    try:
        return (yield from ask(before))
    except QdrantRefused as error:
        if "limit" not in str(error).lower():
            raise
        _known.pop(collection, None)
        now = yield from limit_of(collection)
        if now is None or now == before:
            raise
        return (yield from ask(now))


def limit_of(collection: str) -> Steps[int | None]:
    """Return the most points that one request to a collection may ask for; None without a limit."""
    if collection not in _known:
        described: models.CollectionInfo = yield from call("get_collection", collection_name=collection)
        strict = getattr(described.config, "strict_mode_config", None)
        _known[collection] = strict.max_query_limit if strict is not None and strict.enabled else None
    return _known[collection]


def capped(request: Any, limit: int | None) -> Any:
    """Return a request, or a prefetch, that takes no more than ``limit`` candidates at any depth."""
    if limit is None:
        return request
    inner = request.prefetch
    listed = inner if isinstance(inner, list) else [] if inner is None else [inner]
    changes: dict[str, Any] = {"prefetch": [capped(each, limit) for each in listed] or None}
    if request.limit is not None:
        changes["limit"] = min(request.limit, limit)
    return request.model_copy(update=changes)


def pages_within(requests: Sequence[models.QueryRequest], limit: int | None) -> Iterator[list[models.QueryRequest]]:
    """Yield for each request those that together answer it."""
    for request in requests:
        wanted, offset = request.limit or 0, request.offset or 0
        if limit is None or wanted <= limit:
            yield [capped(request, limit)]
            continue
        starts = range(0, wanted, limit)
        parts = [{"offset": offset + start, "limit": min(limit, wanted - start)} for start in starts]
        yield [capped(request, limit).model_copy(update=part) for part in parts]
