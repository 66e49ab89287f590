"""Keeps requests within the limits of a collection, which managed Qdrant may set (strict mode): `max_query_limit`, `upsert_max_batchsize`.

They are looked up when Qdrant first refuses a request because of it, and remembered: servers without one cost nothing. A longer
page is read in several requests; a list is built on fewer candidates per leg.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from qdrant_client import models

from llmrec_qdrant.errors import InvalidInput, QdrantRefused
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.operations.steps import Steps, call

__all__ = ["Limits", "bounded", "capped", "check_reach", "limits_of", "pages_within", "split"]

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """Limits of a collection; None: there is none."""

    page: int | None = None
    """Points and candidates that one request may ask for."""
    batch: int | None = None
    """Points that one operation may write."""


_known: dict[str, Limits] = {}
"""Collection → its limits. A collection of the same name on another server only gets smaller pages."""


def bounded(collection: str, ask: Callable[[Limits], Steps[T]]) -> Steps[T]:
    """Ask within the limits that are known; if Qdrant refuses, look them up and ask again."""
    before = _known.get(collection, Limits())
    try:
        return (yield from ask(before))
    except QdrantRefused as error:
        if "limit" not in str(error).lower():
            raise
        _known.pop(collection, None)
        now = yield from limits_of(collection)
        if now in {before, Limits()}:
            raise
        return (yield from ask(now))


def limits_of(collection: str) -> Steps[Limits]:
    """Return the limits of a collection."""
    if collection not in _known:
        described: models.CollectionInfo = yield from call("get_collection", collection_name=collection)
        strict = getattr(described.config, "strict_mode_config", None)
        on = strict is not None and strict.enabled
        _known[collection] = Limits(strict.max_query_limit, strict.upsert_max_batchsize) if on else Limits()
    return _known[collection]


def check_reach(collection: str, end: int) -> None:
    """Say why a list is shorter than asked for: Qdrant ranks no more candidates than its limit.

    Raises :class:`InvalidInput` for a list to ``end`` items that goes further.
    """
    page = _known.get(collection, Limits()).page
    if page is not None and end > page:
        raise InvalidInput(
            f"this Qdrant ranks {page:,} items of {collection!r} at most (strict mode, max_query_limit), and offset plus limit is {end:,}: "
            "ask for an earlier or shorter page, or raise max_query_limit"
        )


def split(operation: Any, batch: int | None) -> Iterator[Any]:
    """Yield update operations that together do what ``operation`` does, none of which writes more than ``batch`` points."""
    field = "upsert" if isinstance(operation, models.UpsertOperation) else "update_vectors"
    listed = getattr(operation, field, None)
    points = getattr(listed, "points", None)
    if batch is None or listed is None or points is None or len(points) <= batch:
        yield operation
        return
    for some in batches(points, batch):
        yield operation.model_copy(update={field: listed.model_copy(update={"points": some})})


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
