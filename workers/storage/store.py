"""Typed access to the collections of a space, bound once to a client.

A ``SpaceStore`` is a space on one Qdrant; its ``items``, ``users``, … are ``Store`` objects, one per collection. Points
are read as :class:`~llmrec_qdrant.space.points.Point` with a flat payload; errors are those of this package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

from qdrant_client import QdrantClient, models

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import NotFound
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.calls import Selector
from llmrec_qdrant.operations.retry import retrying
from llmrec_qdrant.operations.spaces import load_config
from llmrec_qdrant.operations.steps import Steps, drive
from llmrec_qdrant.operations.versions import versions
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.space.layout import CollectionKind, Key, Space
from llmrec_qdrant.space.points import Point, set_payload, stored_id
from llmrec_qdrant.space.shapes import fault

__all__ = ["SpaceStore", "Store", "run", "spaces"]

T = TypeVar("T")

POINTS_PER_PAGE = 1_000
"""Points per page of a scroll."""
TEXTS_PER_READ = 32
"""Points with their texts per request, as long as nothing is known of their length: a text may have a million characters."""
CHARACTERS_PER_PAGE = 8_000_000
"""Characters of texts that a page of a scroll holds on average, if one text is not longer than that."""
MAX_WRITE_TRIES = 6
"""Tries of a write while Qdrant is away: about six seconds, enough for a killed Qdrant to restart."""


def run(client: QdrantClient, steps: Steps[T]) -> T:
    """Run an operation of the adapter that sends no messages."""
    return drive(steps, client, NoQueue())


class Store:
    """One collection of a space. Points that lack what their kind needs, or hold it in another type, are not read; see ``raw``."""

    def __init__(self, client: QdrantClient, collection: str, kind: CollectionKind | None = None) -> None:
        self._client = client
        self.collection = collection
        self.kind = kind

    def __repr__(self) -> str:
        return f"Store({self.collection!r})"

    def _run(self, steps: Steps[T]) -> T:
        return run(self._client, steps)

    @property
    def raw(self) -> Store:
        """The same collection, read with its malformed points; see ``storage/malformed.py``."""
        return Store(self._client, self.collection)

    def fault(self, point: Point, keys: Sequence[str] | None = None) -> str:
        """Return what is wrong with a point of which the payload ``keys`` were read (None: all); empty if nothing is."""
        return fault(self.kind, point.payload, keys) if self.kind else ""

    # --- reading ------------------------------------------------------------------------------

    def _sound(self, points: list[Point], payload: Selector) -> list[Point]:
        """Return the points whose payload can be worked with, as far as it was read."""
        if self.kind is None or not payload or isinstance(payload, models.PayloadSelectorExclude):
            return points
        keys = None if payload is True else list(payload)
        return [point for point in points if not fault(self.kind, point.payload, keys)]

    def retrieve(
        self, ids: Iterable[str], payload: Selector = True, vectors: bool | Sequence[str] = False
    ) -> list[Point]:
        """Return the existing points among these ids, in any order."""
        return self._sound(self._run(calls.retrieve(self.collection, ids, payload, vectors)), payload)

    def scroll(
        self,
        condition: models.Filter | None = None,
        *,
        limit: int,
        offset: Any = None,
        payload: Selector = True,
        vectors: bool | Sequence[str] = False,
        order_by: models.OrderBy | None = None,
    ) -> tuple[list[Point], Any]:
        """Return one page of the matching points, and the offset of the next page (None after the last)."""
        steps = calls.scroll(
            self.collection, condition, limit=limit, offset=offset, payload=payload, vectors=vectors, order_by=order_by
        )
        page, following = self._run(steps)
        return self._sound(page, payload), following

    def pages(
        self,
        condition: models.Filter | None = None,
        payload: Selector = True,
        vectors: bool | Sequence[str] = False,
    ) -> Iterator[list[Point]]:
        """Yield all matching points page by page, in the order of their ids; memory holds one page.

        Pages that hold texts grow as far as the texts so far are short. Ids are digests, so long texts are spread evenly.
        """
        offset: Any = None
        size, read, characters = POINTS_PER_PAGE, 0, 0
        if _has_texts(payload):
            size = min(TEXTS_PER_READ, POINTS_PER_PAGE)
        while True:
            page, offset = self.scroll(condition, limit=size, offset=offset, payload=payload, vectors=vectors)
            read, characters = read + len(page), characters + sum(map(_length, page))
            if size < POINTS_PER_PAGE or characters:
                fitting = CHARACTERS_PER_PAGE * max(read, 1) // max(characters, 1)
                size = min(max(TEXTS_PER_READ, min(2 * size, fitting)), POINTS_PER_PAGE)
            if page:
                yield page
            if offset is None:
                return

    def count(self, condition: models.Filter | None = None) -> int:
        """Return the exact number of matching points."""
        return self._run(calls.count(self.collection, condition))

    def facet(
        self, key: str, condition: models.Filter | None = None, *, limit: int, exact: bool = False
    ) -> dict[str, int]:
        """Count the matching points per value of an indexed keyword: value → count, most frequent first."""
        return self._run(calls.facet(self.collection, key, condition, limit=limit, exact=exact))

    def query(self, requests: Sequence[models.QueryRequest]) -> list[list[Point]]:
        """Return the ranked points of each request, in one round trip."""
        return self._run(calls.query(self.collection, requests))

    def metadata(self) -> dict[str, Any]:
        """Return the metadata of the collection."""
        return self._run(calls.metadata(self.collection))

    # --- writing ------------------------------------------------------------------------------

    def upsert(self, points: Sequence[models.PointStruct], only_if: models.Filter | None = None) -> None:
        """Store whole points; with ``only_if`` an existing point is replaced only where it matches."""
        self._run(calls.upsert(self.collection, points, only_if))

    def update(self, operations: Sequence[Any]) -> None:
        """Carry out update operations in order; they are durable when this returns."""
        self._run(calls.update(self.collection, operations))

    def set_payload(self, values: Mapping[str, Any], condition: models.Filter) -> None:
        """Set these payload keys on all matching points."""
        self._run(calls.update_payload(self.collection, values, condition))

    def delete(self, condition: models.Filter) -> None:
        """Delete all matching points."""
        self._run(calls.delete(self.collection, condition))

    def delete_vectors(self, names: Sequence[str], condition: models.Filter) -> None:
        """Delete these named vectors of all matching points."""
        self._run(calls.delete_vectors(self.collection, names, condition))

    def update_metadata(self, values: Mapping[str, Any]) -> None:
        """Set these metadata keys of the collection; others stay."""
        self._run(calls.update_metadata(self.collection, values))

    def write_existing(
        self,
        vectors: Mapping[str, Mapping[str, Any]],
        guard: models.Filter | None = None,
        then: Sequence[tuple[Mapping[str, Any], models.Filter]] = (),
        before: Sequence[tuple[Mapping[str, Any], models.Filter]] = (),
    ) -> None:
        """Write vectors (point id → named vectors) of points that still exist and match ``guard``; creates no points.

        ``then`` holds (payload values, condition) pairs for the same request. Those of ``before`` go out in an earlier
        request that is not awaited: Qdrant works in order, so it is done when the rest is, without a flush of its own.
        """
        earlier, later = _payload_operations(before), _payload_operations(then)
        if earlier:
            self._patiently(calls.update, earlier, wait=False)
        left: dict[str, Mapping[str, Any]] = dict(vectors)
        refused: set[str] | None = None
        while left or later:
            try:
                self._patiently(calls.update, [*_vector_operations(left, guard), *later])
                return
            except NotFound:  # Qdrant refuses a whole batch in which one id is missing
                if not left:
                    raise
                existing = {point.id for point in self._patiently(calls.retrieve, left, payload=False)}
                if existing == refused:  # these points are not what it misses
                    raise
                left = {point: named for point, named in left.items() if point in existing}
                refused = existing

    def _patiently(self, steps: Callable[..., Steps[T]], *arguments: Any, **options: Any) -> T:
        """Read or write with retries: a short absence of Qdrant must not waste what was computed."""
        patiently = retrying(first=0.4, longest=2.0, attempts=MAX_WRITE_TRIES)
        return patiently(lambda: self._run(steps(self.collection, *arguments, **options)))


def _has_texts(payload: Selector) -> bool:
    """Whether points are read with their texts."""
    if isinstance(payload, models.PayloadSelectorExclude):
        return Key.TEXT not in payload.exclude
    return payload if isinstance(payload, bool) else Key.TEXT in payload


def _length(point: Point) -> int:
    """Return the number of characters of a point's text."""
    return len(str(point.get(Key.TEXT, "")))


def _payload_operations(
    changes: Sequence[tuple[Mapping[str, Any], models.Filter]],
) -> list[models.SetPayloadOperation]:
    return [operation for values, condition in changes for operation in set_payload(values, condition)]


def _vector_operations(
    vectors: Mapping[str, Mapping[str, Any]], guard: models.Filter | None
) -> list[models.UpdateVectorsOperation]:
    points = [models.PointVectors(id=stored_id(point), vector=dict(named)) for point, named in vectors.items()]
    update = models.UpdateVectors(points=points, update_filter=guard) if points else None
    return [models.UpdateVectorsOperation(update_vectors=update)] if update else []


class SpaceStore:
    """A space, or one version of it, on a Qdrant."""

    def __init__(self, client: QdrantClient, space: Space) -> None:
        self.client = client
        self.space = space

    def __repr__(self) -> str:
        return f"SpaceStore({self.space!r})"

    @property
    def name(self) -> str:
        """Name of the space."""
        return self.space.name

    @property
    def label(self) -> str:
        """Name of the space and, if it is bound to one, its version."""
        return self.name if self.space.version is None else f"{self.name} version {self.space.version}"

    def run(self, steps: Steps[T]) -> T:
        """Run an operation of the adapter that sends no messages."""
        return run(self.client, steps)

    def of(self, kind: CollectionKind) -> Store:
        """Return the collection of a kind."""
        return Store(self.client, self.space.collection(kind), kind)

    @cached_property
    def items(self) -> Store:
        """Items."""
        return self.of("items")

    @cached_property
    def users(self) -> Store:
        """Users."""
        return self.of("users")

    @cached_property
    def texts(self) -> Store:
        """Free texts: searches, reviews, queries."""
        return self.of("texts")

    @cached_property
    def topics(self) -> Store:
        """Topics."""
        return self.of("topics")

    @cached_property
    def events(self) -> Store:
        """Events; not versioned."""
        return self.of("events")

    @cached_property
    def jobs(self) -> Store:
        """Jobs; not versioned."""
        return self.of("jobs")

    def at(self, version: int | None) -> SpaceStore:
        """Return the same space, bound to a version."""
        return SpaceStore(self.client, self.space.at(version))

    def versions(self) -> list[SpaceStore]:
        """Return every version, the live one first.

        Raises :class:`SpaceNotFound` if the space does not exist.
        """
        return [self.at(number) for number in self.run(versions(self.space)).all]

    def config(self) -> SpaceConfig:
        """Read the stored configuration.

        Raises :class:`SpaceNotFound` if the space does not exist.
        """
        return self.run(load_config(self.space))

    @property
    def session(self) -> str:
        """What names this opening of an embedded folder; empty on a server. One process at a time has a folder open."""
        return str(getattr(self.client, "session", ""))

    @property
    def serves_threads(self) -> bool:
        """Whether several threads may use the client: a server and Qdrant Edge do, the client's pure Python mode does not."""
        return type(getattr(self.client, "_client", None)).__name__ != "QdrantLocal"


def spaces(client: QdrantClient) -> list[SpaceStore]:
    """List every space on this Qdrant."""
    aliases = run(client, calls.aliases())
    return [SpaceStore(client, space) for alias in sorted(aliases) if (space := Space.of_alias(alias)) is not None]
