"""Typed steps: each sends one request to Qdrant and returns our own types.

An operation writes ``points = yield from retrieve(...)``. Results of the Qdrant client are read here and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qdrant_client import models
from qdrant_client.http.models import QueryResponse  # `models` has another class of that name

from llmrec_qdrant.contracts.paths import canonical_path
from llmrec_qdrant.errors import LlmrecError, SpaceNotFound
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.operations.limits import Limits, bounded, pages_within, split
from llmrec_qdrant.operations.steps import Call, Steps, Together, call
from llmrec_qdrant.space.points import Point, set_payload

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
"""Points per page where values are counted by reading points."""


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
    wanted = list(ids)
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
        most = limits.page
        records: list[models.Record] = []
        now = dict(arguments)
        while True:
            size = limit - len(records) if most is None else min(limit - len(records), most)
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
        "retrieve", collection_name=collection, ids=list(ids), with_payload=True, with_vectors=True
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
    result: models.CountResult = yield from call(
        "count", collection_name=collection, count_filter=condition, exact=True
    )
    return result.count


def facet(
    collection: str, key: str, condition: models.Filter | None = None, *, limit: int, exact: bool = False
) -> Steps[dict[str, int]]:
    """Return value → number of matching points that have it, for an indexed keyword, most frequent first."""

    def ask(limits: Limits) -> Steps[dict[str, int]]:
        size = limit if limits.page is None else min(limit, limits.page)
        response: models.FacetResponse = yield from call(
            "facet", collection_name=collection, key=key, facet_filter=condition, limit=size, exact=exact
        )
        if len(response.hits) == size < limit:  # there may be more values than Qdrant lists
            return (yield from _counted(collection, key, condition, limit))
        return {str(hit.value): hit.count for hit in response.hits}

    return (yield from bounded(collection, ask))


def _counted(collection: str, key: str, condition: models.Filter | None, limit: int) -> Steps[dict[str, int]]:
    """Return what :func:`facet` returns, by reading all matching points."""
    counts: Counter[str] = Counter()
    offset: Offset = None
    while True:
        page, offset = yield from scroll(collection, condition, limit=POINTS_COUNTED, offset=offset, payload=[key])
        for point in page:
            value = point.get(key)
            counts.update({str(one) for one in (value if isinstance(value, list) else [value]) if one is not None})
        if offset is None:
            return dict(counts.most_common(limit))


def query(collection: str, requests: Sequence[models.QueryRequest]) -> Steps[list[list[Point]]]:
    """Return the ranked points of each request, in one round trip."""

    def ask(limits: Limits) -> Steps[list[list[Point]]]:
        parts = list(pages_within(requests, limits.page))
        responses: list[QueryResponse] = yield from call(
            "query_batch_points", collection_name=collection, requests=[part for request in parts for part in request]
        )
        answers = iter(responses)
        return [[Point.of(point) for _ in request for point in next(answers).points] for request in parts]

    return (yield from bounded(collection, ask))


def upsert(collection: str, points: Sequence[models.PointStruct], only_if: models.Filter | None = None) -> Steps[None]:
    """Store whole points; they are durable when this returns.

    With ``only_if``, an existing point is replaced only if it matches; new points are always stored.
    """

    def ask(limits: Limits) -> Steps[None]:
        for some in batches(points, limits.batch or len(points)):
            yield from call("upsert", collection_name=collection, points=some, wait=True, update_filter=only_if)

    if points:
        yield from bounded(collection, ask)


def update(collection: str, operations: Sequence[Any], wait: bool = True) -> Steps[None]:
    """Apply update operations one after the other; with ``wait`` they are durable when this returns."""

    def ask(limits: Limits) -> Steps[None]:
        parts = [part for operation in operations for part in split(operation, limits.batch)]
        yield from call("batch_update_points", collection_name=collection, update_operations=parts, wait=wait)

    if operations:
        yield from bounded(collection, ask)


def update_payload(collection: str, values: Mapping[str, Any], condition: models.Filter) -> Steps[None]:
    """Set these payload keys on all matching points."""
    yield from update(collection, set_payload(values, condition))


def delete(collection: str, condition: models.Filter) -> Steps[None]:
    """Delete all matching points."""
    selector = models.FilterSelector(filter=condition)
    yield from call("delete", collection_name=collection, points_selector=selector, wait=True)


def delete_vectors(collection: str, names: Sequence[str], condition: models.Filter) -> Steps[None]:
    """Delete these named vectors of all matching points."""
    selector = models.FilterSelector(filter=condition)
    yield from call("delete_vectors", collection_name=collection, vectors=list(names), points=selector, wait=True)


# --- collections ----------------------------------------------------------------------------------


def server_version() -> Steps[str]:
    """Return the version of the Qdrant server, such as ``1.16.3``."""
    info: models.VersionInfo = yield from call("info")
    return str(info.version)


def collection_names() -> Steps[list[str]]:
    """Return the names of all collections that the API key may list."""
    response: models.CollectionsResponse = yield from call("get_collections")
    return [collection.name for collection in response.collections]


def collection_exists(collection: str) -> Steps[bool]:
    """Return whether a collection or alias of that name exists."""
    exists: bool = yield from call("collection_exists", collection_name=collection)
    return exists


def aliases() -> Steps[dict[str, str]]:
    """Return alias → collection."""
    response: models.CollectionsAliasesResponse = yield from call("get_aliases")
    return {alias.alias_name: alias.collection_name for alias in response.aliases}


def names_and_metadata(collection: str) -> Steps[tuple[list[str], dict[str, str], dict[str, Any]]]:
    """Return the names of collections, alias → collection, and the metadata of a collection (empty if there is none), at once."""
    asked = Call("get_collections"), Call("get_aliases"), Call("get_collection", {"collection_name": collection})
    answers: list[Any] = yield Together(asked)
    listed, named, described = answers
    if isinstance(described, SpaceNotFound):
        described = None
    if error := next((answer for answer in (listed, named, described) if isinstance(answer, LlmrecError)), None):
        raise error
    names = [found.name for found in listed.collections]
    aliases = {alias.alias_name: alias.collection_name for alias in named.aliases}
    return names, aliases, dict(described.config.metadata or {}) if described is not None else {}


def change_aliases(operations: Sequence[Any]) -> Steps[None]:
    """Change aliases in one atomic call."""
    yield from call("update_collection_aliases", change_aliases_operations=list(operations))


def create_collection(
    collection: str, spec: Mapping[str, Any], metadata: Mapping[str, Any] | None = None
) -> Steps[None]:
    """Create a collection; see :func:`llmrec_qdrant.space.schema.collection_spec`."""
    yield from call("create_collection", collection_name=collection, metadata=dict(metadata or {}), **spec)


def create_index(collection: str, key: str, schema: Any) -> Steps[None]:
    """Index a payload key."""
    yield from call("create_payload_index", collection_name=collection, field_name=key, field_schema=schema, wait=True)


def delete_collection(collection: str) -> Steps[None]:
    """Delete a collection and everything in it; a missing collection is no error."""
    yield from call("delete_collection", collection_name=collection)


@dataclass(frozen=True)
class Description:
    """What a collection is, apart from its points."""

    spec: dict[str, Any]
    """Arguments of ``create_collection``: the parameters of the vectors."""
    metadata: dict[str, Any]
    indexes: dict[str, Any]
    """Indexed payload key → schema of the index."""


def describe(collection: str) -> Steps[Description]:
    """Return the parameters, the metadata and the payload indexes of a collection."""
    info: models.CollectionInfo = yield from call("get_collection", collection_name=collection)
    params = info.config.params
    spec = {"vectors_config": params.vectors or {}, "sparse_vectors_config": params.sparse_vectors or {}}
    return Description(spec, dict(info.config.metadata or {}), _schemas(info.payload_schema or {}))


def _schemas(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return key → schema as a request states it; embedded Qdrant stores the kind of an index only."""
    return {
        key: index if isinstance(index, str) else index.params or index.data_type.value for key, index in stored.items()
    }


def metadata(collection: str) -> Steps[dict[str, Any]]:
    """Return the metadata of a collection."""
    info: models.CollectionInfo = yield from call("get_collection", collection_name=collection)
    return dict(info.config.metadata or {})


def update_metadata(collection: str, values: Mapping[str, Any]) -> Steps[None]:
    """Set these metadata keys of a collection, or delete those that are None; other keys keep their values."""
    yield from call("update_collection", collection_name=collection, metadata=dict(values))


def index_kinds(collection: str) -> Steps[dict[str, str]]:
    """Return payload key, by its canonical path, → kind of its index."""
    info: models.CollectionInfo = yield from call("get_collection", collection_name=collection)
    kinds = {
        canonical_path(key): getattr(index, "data_type", index) for key, index in (info.payload_schema or {}).items()
    }
    return {key: str(getattr(kind, "value", kind)) for key, kind in kinds.items()}


def delete_index(collection: str, key: str) -> Steps[None]:
    """Remove the index of a payload key."""
    yield from call("delete_payload_index", collection_name=collection, field_name=key, wait=True)
