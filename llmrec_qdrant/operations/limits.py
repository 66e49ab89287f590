"""Keeps requests within the limits of a collection in strict mode, which managed Qdrant may set.

Limits are looked up when Qdrant first refuses a request because of one, and remembered: servers without any cost nothing. Long
pages are read in several requests, large writes are several operations, and long lists of ids are several conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from qdrant_client import models

from llmrec_qdrant.errors import InvalidInput, QdrantRefused
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.operations.steps import Steps, call
from llmrec_qdrant.query.pages import prefetches

__all__ = ["Limits", "as_body", "bounded", "limits_of", "split", "split_write"]

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """Limits of a collection; None: there is none."""

    page: int | None = None
    """Points and candidates that a request may ask for (``max_query_limit``)."""
    batch: int | None = None
    """Points that an operation may write (``upsert_max_batchsize``)."""
    condition: int | None = None
    """Values that a condition may list (``condition_max_size``)."""
    exact: bool = True
    """Whether exact counts are allowed (``search_allow_exact``)."""

    @property
    def any(self) -> bool:
        """Whether there is a limit that this package can keep."""
        return self != Limits()

    def filter(self, filter: models.Filter | None) -> models.Filter | None:
        """Return a filter of the same meaning whose conditions are not too large."""
        return filter if filter is None or self.condition is None else split(filter, self.condition)

    def request(self, request: Any) -> Any:
        """Return a request, or a prefetch, with filters whose conditions are not too large."""
        if self.condition is None:
            return request
        inner = [self.request(part) for part in prefetches(request)]
        return request.model_copy(update={"filter": self.filter(request.filter), "prefetch": inner or None})

    def fits(self, request: Any) -> bool:
        """Whether every part of a request keeps the limit of candidates; the request itself may be read in pages."""
        return self.page is None or all(
            (part.limit or 0) <= self.page and self.fits(part) for part in prefetches(request)
        )


_known: dict[str, Limits] = {}
"""Collection → its limits. A collection of the same name on another server only gets smaller requests."""


def bounded(collection: str, ask: Callable[[Limits], Steps[T]]) -> Steps[T]:
    """Ask within the limits that are known; if Qdrant refuses, look them up and ask again."""
    before = _known.get(collection, Limits())
    try:
        return (yield from ask(before))
    except QdrantRefused as error:
        if not any(word in str(error).lower() for word in ("limit", "exact search")):
            raise
        _known.pop(collection, None)
        now = yield from limits_of(collection)
        if now == before or not now.any:
            raise
        return (yield from ask(now))


def limits_of(collection: str) -> Steps[Limits]:
    """Return the limits of a collection."""
    if collection not in _known:
        described: models.CollectionInfo = yield from call("get_collection", collection_name=collection)
        strict = getattr(described.config, "strict_mode_config", None)
        _known[collection] = _limits(strict) if strict is not None and strict.enabled else Limits()
    return _known[collection]


def _limits(strict: models.StrictModeConfig) -> Limits:
    exact = strict.search_allow_exact is not False
    return Limits(strict.max_query_limit, strict.upsert_max_batchsize, strict.condition_max_size, exact)


# --- parts of requests ----------------------------------------------------------------------------


def as_body(collection: str, request: models.QueryRequest, limits: Limits) -> models.QueryRequest:
    """Return a request that Qdrant accepts as it is: a leg proposes no more candidates than the limit.

    Raises :class:`InvalidInput` for a page that needs more of them.
    """
    limit, end = request.limit or 0, (request.offset or 0) + (request.limit or 0)
    if limits.page is not None and (end if not limits.fits(request) else limit) > limits.page:
        raise InvalidInput(
            f"one request to {collection!r} reaches {limits.page:,} items (strict mode of this Qdrant, max_query_limit), and offset "
            f"plus limit is {end:,}: ask for an earlier or shorter page, or call the method that returns the list, which sends "
            "several requests"
        )
    capped: models.QueryRequest = _capped(limits.request(request), limits.page)
    return capped


def _capped(request: Any, limit: int | None) -> Any:
    if limit is None:
        return request
    changes: dict[str, Any] = {"prefetch": [_capped(each, limit) for each in prefetches(request)] or None}
    if request.limit is not None:
        changes["limit"] = min(request.limit, limit)
    return request.model_copy(update=changes)


def split(filter: models.Filter, size: int) -> models.Filter:
    """Return a filter of the same meaning, none of whose conditions lists more than ``size`` ids or values.

    >>> few = split(models.Filter(must=[models.HasIdCondition(has_id=[1, 2, 3])]), 2)
    >>> [condition.has_id for condition in few.must[0].should]
    [[1, 2], [3]]
    """
    changes: dict[str, Any] = {}
    for clause in ("must", "should", "must_not"):
        given = getattr(filter, clause)
        conditions = given if isinstance(given, list) else [] if given is None else [given]
        changes[clause] = [part for condition in conditions for part in _clause(clause, condition, size)] or None
    return filter.model_copy(update=changes)


def _clause(clause: str, condition: Any, size: int) -> list[Any]:
    """Return a condition in small ones: any of them holds, so only ``must`` needs them together."""
    small = _small(condition, size)
    return [models.Filter(should=small)] if clause == "must" and len(small) > 1 else small


def _small(condition: Any, size: int) -> list[Any]:
    match condition:
        case models.Filter():
            return [split(condition, size)]
        case models.HasIdCondition(has_id=ids) if len(ids) > size:
            return [models.HasIdCondition.model_construct(has_id=some) for some in batches(ids, size)]
        case models.FieldCondition(match=models.MatchAny(any=values)) if len(values) > size:
            return [condition.model_copy(update={"match": models.MatchAny(any=some)}) for some in batches(values, size)]
    return [condition]


# --- writes ---------------------------------------------------------------------------------------

_WITH_FILTER = ("set_payload", "overwrite_payload", "delete_payload", "update_vectors", "upsert")


def split_write(operation: Any, limits: Limits) -> Iterator[Any]:
    """Yield update operations that together do what ``operation`` does, each within the limits."""
    name = next((field for field in _WITH_FILTER if hasattr(operation, field)), None)
    if name is None:
        yield operation
        return
    inner = getattr(operation, name)
    key = "update_filter" if hasattr(inner, "update_filter") else "filter"
    inner = inner.model_copy(update={key: limits.filter(getattr(inner, key))})
    points = getattr(inner, "points", None)
    if limits.batch is None or key == "filter" or points is None or len(points) <= limits.batch:
        yield operation.model_copy(update={name: inner})
        return
    for some in batches(points, limits.batch):
        yield operation.model_copy(update={name: inner.model_copy(update={"points": some})})
