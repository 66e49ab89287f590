"""Typed steps: each sends one request to Qdrant and returns our own types.

An operation writes ``points = yield from retrieve(...)``. Results of the Qdrant client are read here and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from qdrant_client import models
from qdrant_client.http.models import QueryResponse  # `models` has another class of that name

from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.operations.collections import (
    Description,
    aliases,
    change_aliases,
    collection_exists,
    collection_names,
    create_collection,
    create_index,
    delete_collection,
    delete_index,
    describe,
    index_kinds,
    metadata,
    names_and_metadata,
    server_version,
    update_metadata,
)
from llmrec_qdrant.operations.limits import Limits, bounded, split_write
from llmrec_qdrant.operations.steps import Steps, call
from llmrec_qdrant.operations.whole import read_whole
from llmrec_qdrant.space.points import Point, set_payload, stored_id

__all__ = [
    "Description",
    "aliases",
    "change_aliases",
    "collection_exists",
    "collection_names",
    "count",
    "create_collection",
    "create_index",
    "delete",
    "delete_collection",
    "delete_index",
    "delete_vectors",
    "describe",
    "facet",
    "index_kinds",
    "metadata",
    "names_and_metadata",
    "query",
    "retrieve",
    "scroll",
    "server_version",
    "update",
    "update_metadata",
    "update_payload",
    "upsert",
    "whole_page",
    "whole_points",
]

Selector = bool | Sequence[str] | models.PayloadSelectorExclude
"""Payload keys to read: all, none, these, or all but these."""
Offset = Any
"""Start of the next page of a scroll; None after the last page."""

POINTS_COUNTED = 1_000
"""Points per page where they are counted by reading them."""


def _selected(selector: Selector) -> Any:
    return list(selector) if isinstance(selector, Sequence) else selector


def retrieve(
    collection: str,
    ids: Iterable[str],
    payload: Selector = True,
    vectors: bool | Sequence[str] = False,
    *,
    remember: bool = False,
) -> Steps[list[Point]]:
    """Return the points with these ids that exist, in any order; for ``remember``, see ``operations/remember.py``."""
    wanted = [stored_id(point) for point in ids]
    if not wanted:
        return []
    records: list[models.Record] = yield from call(
        "retrieve",
        remember=remember,
        collection_name=collection,
        ids=wanted,
        with_payload=_selected(payload),
        with_vectors=_selected(vectors),
    )
    return [Point.of(record) for record in records]


def scroll(
    collection: str,
    condition: models.Filter | None = None,
    *,
    limit: int,
    offset: Offset = None,
    payload: Selector = True,
    vectors: bool | Sequence[str] = False,
    order_by: models.OrderBy | None = None,
) -> Steps[tuple[list[Point], Offset]]:
    """Return one page of the matching points, ordered by id or ``order_by``, and the offset of the next page."""
    records, following = yield from _scrolled(
        collection,
        limit,
        scroll_filter=condition,
        offset=offset,
        order_by=order_by,
        with_payload=_selected(payload),
        with_vectors=_selected(vectors),
    )
    return [Point.of(record) for record in records], following


def _scrolled(collection: str, limit: int, **arguments: Any) -> Steps[tuple[list[models.Record], Offset]]:
    def ask(limits: Limits) -> Steps[tuple[list[models.Record], Offset]]:
        records: list[models.Record] = []
        now = dict(arguments)
        while True:
            size = limit - len(records) if limits.page is None else min(limit - len(records), limits.page)
            now["scroll_filter"] = limits.filter(now.get("scroll_filter"))
            page: list[models.Record]
            page, following = yield from call("scroll", collection_name=collection, limit=size, **now)
            records += page
            ordered = arguments.get("order_by")
            ended = len(page) < size if ordered else following is None
            if ended or len(records) >= limit:
                return records, following
            now = _after(arguments, records) if ordered else {**now, "offset": following}

    return (yield from bounded(collection, ask))


def _after(arguments: Mapping[str, Any], records: Sequence[models.Record]) -> dict[str, Any]:
    """Return the arguments of the next page of an ordered scroll: from the last value on, without the points that had it."""
    last = records[-1].order_value
    had = [str(record.id) for record in records if record.order_value == last]
    rest = models.Filter(must_not=[models.HasIdCondition(has_id=list(had))])
    condition = arguments["scroll_filter"]
    among = models.Filter(must=[condition, rest]) if condition is not None else rest
    return {
        **arguments,
        "scroll_filter": among,
        "order_by": arguments["order_by"].model_copy(update={"start_from": last}),
    }


def whole_points(collection: str, ids: Sequence[str]) -> Steps[dict[str, models.PointStruct]]:
    """Return id → point as stored, with all vectors, of those that exist."""
    if not ids:
        return {}
    records: list[models.Record] = yield from call(
        "retrieve",
        collection_name=collection,
        ids=[stored_id(point) for point in ids],
        with_payload=True,
        with_vectors=True,
    )
    return {str(record.id): _whole(record) for record in records}


def whole_page(collection: str, *, limit: int, offset: Offset = None) -> Steps[tuple[list[models.PointStruct], Offset]]:
    """Return one page of points as stored, with all vectors, ordered by id, and the offset of the next page."""
    records, following = yield from _scrolled(collection, limit, offset=offset, with_payload=True, with_vectors=True)
    return [_whole(record) for record in records], following


def _whole(record: models.Record) -> models.PointStruct:
    """Return a stored point as it is written; nothing is checked again."""
    vector: Any = record.vector or {}
    return models.PointStruct.model_construct(id=record.id, vector=vector, payload=record.payload or {})


def count(collection: str, condition: models.Filter | None = None) -> Steps[int]:
    """Return the exact number of matching points."""

    def ask(limits: Limits) -> Steps[int]:
        if condition is not None and not limits.exact:
            pages = yield from _all(collection, condition, False)
            return sum(len(page) for page in pages)
        result: models.CountResult = yield from call(
            "count", collection_name=collection, count_filter=limits.filter(condition), exact=limits.exact
        )
        return result.count

    return (yield from bounded(collection, ask))


def facet(
    collection: str, key: str, condition: models.Filter | None = None, *, limit: int, exact: bool = False
) -> Steps[dict[str, int]]:
    """Return value → number of matching points that have it, for an indexed keyword, most frequent first.

    Where Qdrant may not list that many values, or not count exactly, the points are read and counted here.
    """

    def ask(limits: Limits) -> Steps[dict[str, int]]:
        size = limit if limits.page is None else min(limit, limits.page)
        if exact and not limits.exact:
            return (yield from _counted(collection, key, condition, limit))
        response: models.FacetResponse = yield from call(
            "facet",
            collection_name=collection,
            key=key,
            facet_filter=limits.filter(condition),
            limit=size,
            exact=exact,
        )
        if len(response.hits) == size < limit:  # there may be more values
            return (yield from _counted(collection, key, condition, limit))
        return {str(hit.value): hit.count for hit in response.hits}

    return (yield from bounded(collection, ask))


def _counted(collection: str, key: str, condition: models.Filter | None, limit: int) -> Steps[dict[str, int]]:
    """Return what :func:`facet` returns, by reading all matching points."""
    counts = Counter[str]()
    for page in (yield from _all(collection, condition, [key])):
        for point in page:
            value = point.get(key)
            counts.update({str(one) for one in (value if isinstance(value, list) else [value]) if one is not None})
    return dict(counts.most_common(limit))


def _all(collection: str, condition: models.Filter | None, payload: Selector) -> Steps[list[list[Point]]]:
    """Return all matching points, page by page."""
    pages: list[list[Point]] = []
    offset: Offset = None
    while not pages or offset is not None:
        page, offset = yield from scroll(collection, condition, limit=POINTS_COUNTED, offset=offset, payload=payload)
        pages.append(page)
    return pages


def query(collection: str, requests: Sequence[models.QueryRequest]) -> Steps[list[list[Point]]]:
    """Return the ranked points of each request; in one round trip, unless one needs more candidates than a request may have."""

    def ask(limits: Limits) -> Steps[list[list[Point]]]:
        def plain(some: Sequence[models.QueryRequest]) -> Steps[list[list[Point]]]:
            return (yield from _in_pages(collection, some, limits))

        def stored(ids: Sequence[str], payload: Any, vectors: Any) -> Steps[list[Point]]:
            return (yield from retrieve(collection, ids, payload, vectors))

        answers = iter((yield from plain([request for request in requests if limits.fits(request)])))
        found: list[list[Point]] = []
        for request in requests:
            whole = next(answers) if limits.fits(request) else (yield from read_whole(request, plain, stored))
            found.append(whole)
        return found

    return (yield from bounded(collection, ask))


def _in_pages(collection: str, requests: Sequence[models.QueryRequest], limits: Limits) -> Steps[list[list[Point]]]:
    parts = [list(_pages_of(limits.request(request), limits.page)) for request in requests]
    if not parts:
        return []
    responses: list[QueryResponse] = yield from call(
        "query_batch_points", collection_name=collection, requests=[page for pages in parts for page in pages]
    )
    answers = iter(responses)
    return [[Point.hit(point) for _ in pages for point in next(answers).points] for pages in parts]


def _pages_of(request: models.QueryRequest, limit: int | None) -> Iterator[models.QueryRequest]:
    """Yield the requests that together answer one."""
    wanted, offset = request.limit or 0, request.offset or 0
    if limit is None or wanted <= limit:
        yield request
        return
    for start in range(0, wanted, limit):
        yield request.model_copy(update={"offset": offset + start, "limit": min(limit, wanted - start)})


# --- writing --------------------------------------------------------------------------------------


def upsert(collection: str, points: Sequence[models.PointStruct], only_if: models.Filter | None = None) -> Steps[None]:
    """Store whole points; they are durable when this returns.

    With ``only_if``, an existing point is replaced only if it matches; new points are always stored.
    """

    def ask(limits: Limits) -> Steps[None]:
        guard = limits.filter(only_if)
        for some in batches(points, limits.batch or len(points)):
            yield from call("upsert", collection_name=collection, points=some, wait=True, update_filter=guard)

    if points:
        yield from bounded(collection, ask)


def update(collection: str, operations: Sequence[Any], wait: bool = True) -> Steps[None]:
    """Apply update operations one after the other; with ``wait`` they are durable when this returns."""

    def ask(limits: Limits) -> Steps[None]:
        some = [part for operation in operations for part in split_write(operation, limits)]
        yield from call("batch_update_points", collection_name=collection, update_operations=some, wait=wait)

    if operations:
        yield from bounded(collection, ask)


def update_payload(collection: str, values: Mapping[str, Any], condition: models.Filter) -> Steps[None]:
    """Set these payload keys on all matching points."""
    yield from update(collection, set_payload(values, condition))


def delete(collection: str, condition: models.Filter) -> Steps[None]:
    """Delete all matching points."""

    def ask(limits: Limits) -> Steps[None]:
        selector = models.FilterSelector(filter=limits.filter(condition))
        yield from call("delete", collection_name=collection, points_selector=selector, wait=True)

    yield from bounded(collection, ask)


def delete_vectors(collection: str, names: Sequence[str], condition: models.Filter) -> Steps[None]:
    """Delete these named vectors of all matching points."""

    def ask(limits: Limits) -> Steps[None]:
        selector = models.FilterSelector(filter=limits.filter(condition))
        yield from call("delete_vectors", collection_name=collection, vectors=list(names), points=selector, wait=True)

    yield from bounded(collection, ask)
