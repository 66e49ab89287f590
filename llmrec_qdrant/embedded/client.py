"""``EdgeClient``: the methods of ``QdrantClient`` that this package calls, on Qdrant Edge in a folder.

Threads may share one client. A second process that opens the same folder is refused.
"""

from __future__ import annotations

import os
import shutil
import threading
import uuid
import weakref
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import qdrant_edge as edge
from qdrant_client import models
from qdrant_client.http.models import QueryResponse  # `models` has another class of that name

from llmrec_qdrant.embedded.conditions import edge_filter
from llmrec_qdrant.embedded.folder import Collection, Folder
from llmrec_qdrant.embedded.lookups import LookUps
from llmrec_qdrant.embedded.points import payload_selector, record, scored
from llmrec_qdrant.embedded.queries import Translator
from llmrec_qdrant.embedded.scratch import open_scratch
from llmrec_qdrant.embedded.shards import (
    collection_params,
    create_shard,
    edge_errors,
    index_schema,
    load_shard,
    spec_as_json,
)
from llmrec_qdrant.embedded.updates import edge_operations
from llmrec_qdrant.embedded.upkeep import Upkeep
from llmrec_qdrant.errors import QdrantRefused, QdrantUnavailable, SpaceNotFound
from llmrec_qdrant.space.schema import index_kind

__all__ = ["EdgeClient"]

SERVER_VERSION = "1.17.0"
"""Version of the Qdrant server that the engine corresponds to."""


class EdgeClient:
    """An embedded Qdrant in ``path``; ``:memory:`` uses a temporary folder, which is deleted with the client."""

    def __init__(self, path: str) -> None:
        temporary = path == ":memory:"
        self._files = open_scratch() if temporary else Folder(path)
        self._shards: dict[str, edge.EdgeShard] = {}
        self._release = weakref.finalize(self, _release, self._files, self._shards, temporary)
        self._lock = threading.RLock()
        self._upkeep = Upkeep()
        self.session = f"{uuid.uuid4().hex[:8]}-"
        """What names this opening of the folder: no other process can have worked in it since."""

    def __repr__(self) -> str:
        return f"EdgeClient({str(self._files.path)!r})"

    def close(self) -> None:
        """Write everything to disk and let another process open the folder."""
        with self._lock:
            self._release()

    @property
    def _folder(self) -> Folder:
        """The open folder.

        Raises :class:`QdrantUnavailable` after :meth:`close`, and in a forked process.
        """
        if not self._release.alive:
            raise QdrantUnavailable("the connection to Qdrant is closed: connect again")
        self._files.check_process()
        return self._files

    # --- collections --------------------------------------------------------------------------

    def info(self) -> models.VersionInfo:
        """The version of the server that the engine corresponds to; raises :class:`QdrantUnavailable` after ``close``."""
        _ = self._folder
        return models.VersionInfo(title="Qdrant Edge", version=SERVER_VERSION)

    def get_collections(self) -> models.CollectionsResponse:
        """All collections."""
        names = [models.CollectionDescription(name=name) for name in self._folder.collections]
        return models.CollectionsResponse(collections=names)

    def collection_exists(self, collection_name: str) -> bool:
        """Whether there is a collection or alias of that name."""
        return collection_name in self._folder.collections or collection_name in self._folder.aliases

    def get_aliases(self) -> models.CollectionsAliasesResponse:
        """All aliases."""
        aliases = [
            models.AliasDescription(alias_name=alias, collection_name=name)
            for alias, name in self._folder.aliases.items()
        ]
        return models.CollectionsAliasesResponse(aliases=aliases)

    def update_collection_aliases(self, change_aliases_operations: Sequence[Any], **_: Any) -> bool:
        """Change aliases in one atomic step.

        Raises :class:`QdrantRefused` where an alias would hide a collection, :class:`SpaceNotFound` for a missing target.
        """
        with self._lock:
            aliases = dict(self._folder.aliases)
            for operation in change_aliases_operations:
                if isinstance(operation, models.DeleteAliasOperation):
                    aliases.pop(operation.delete_alias.alias_name, None)
                elif isinstance(operation, models.CreateAliasOperation):
                    alias, name = operation.create_alias.alias_name, operation.create_alias.collection_name
                    self._entry(name)
                    if alias in self._folder.collections:
                        raise QdrantRefused(f"there is a collection named {alias!r}: no alias can have its name")
                    aliases[alias] = name
            self._folder.save(aliases=aliases)
        return True

    def create_collection(
        self,
        collection_name: str,
        vectors_config: Mapping[str, models.VectorParams] | None = None,
        sparse_vectors_config: Mapping[str, models.SparseVectorParams] | None = None,
        metadata: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> bool:
        """Create a collection; raises :class:`QdrantRefused` where the name is taken."""
        with self._lock:
            if self.collection_exists(collection_name):
                raise QdrantRefused(f"collection {collection_name!r} already exists")
            spec = spec_as_json(vectors_config or {}, sparse_vectors_config or {})
            entry = self._folder.new_entry(collection_name, spec, metadata or {})
            self._folder.check_space()
            shard = create_shard(self._folder.shard(entry), spec)
            self._folder.save({**self._folder.collections, collection_name: entry})
            self._shards[entry.folder] = shard
        return True

    def delete_collection(self, collection_name: str, **_: Any) -> bool:
        """Delete a collection with its aliases; False if there is none."""
        with self._lock:
            collections = dict(self._folder.collections)
            entry = collections.pop(collection_name, None)
            if entry is None:
                return False
            named = self._folder.aliases.items()
            self._folder.save(collections, {alias: name for alias, name in named if name != collection_name})
            shard = self._shards.pop(entry.folder, None)
            if shard is not None:
                shard.close()
            self._upkeep.forget(entry.folder)
        shutil.rmtree(self._folder.shard(entry), ignore_errors=True)
        return True

    def get_collection(self, collection_name: str) -> models.CollectionInfo:
        """Metadata, indexed payload keys and the number of points."""
        entry = self._entry(collection_name)
        points = self._shard(collection_name).info().points_count
        config = SimpleNamespace(metadata=deepcopy(entry.metadata), params=collection_params(entry.spec))
        info = SimpleNamespace(config=config, payload_schema=dict(entry.indexes), points_count=points)
        return cast(models.CollectionInfo, info)

    def update_collection(self, collection_name: str, metadata: Mapping[str, Any] | None = None, **_: Any) -> bool:
        """Set these metadata keys; None deletes one."""
        with self._lock:
            entry = self._entry(collection_name)
            merged = {**entry.metadata, **deepcopy(dict(metadata or {}))}
            kept = {key: value for key, value in merged.items() if value is not None}
            self._change(collection_name, replace(entry, metadata=kept))
        return True

    def _change(self, name: str, entry: Collection) -> None:
        """Store the changed entry of a collection or alias."""
        folder = self._folder
        folder.save({**folder.collections, folder.aliases.get(name, name): entry})

    def create_payload_index(self, collection_name: str, field_name: str, field_schema: Any, **_: Any) -> None:
        """Index a payload key."""
        operation = edge.UpdateOperation.create_field_index(field_name, index_schema(field_schema))
        self._index(collection_name, operation, {field_name: index_kind(field_schema)})

    def delete_payload_index(self, collection_name: str, field_name: str, **_: Any) -> None:
        """Remove the index of a payload key."""
        self._index(collection_name, edge.UpdateOperation.delete_field_index(field_name), {field_name: None})

    def _index(self, name: str, operation: Any, changes: Mapping[str, str | None]) -> None:
        with edge_errors(), self._lock:
            self._shard(name).update(operation)
            entry = self._entry(name)
            indexes = {key: kind for key, kind in {**entry.indexes, **changes}.items() if kind is not None}
            self._change(name, replace(entry, indexes=indexes))

    def _entry(self, name: str) -> Collection:
        entry = self._folder.collections.get(self._folder.aliases.get(name, name))
        if entry is None:
            raise SpaceNotFound(
                f"this Qdrant has no collection {name!r}: create the space first with `llmrec init` or create()"
            )
        return entry

    def _shard(self, name: str) -> edge.EdgeShard:
        with self._lock:
            entry = self._entry(name)
            shard = self._shards.get(entry.folder)
            if shard is None:
                self._folder.check_space()
                shard = self._shards[entry.folder] = load_shard(self._folder.shard(entry))
            return shard

    # --- reading ------------------------------------------------------------------------------

    def retrieve(
        self, collection_name: str, ids: Iterable[Any], with_payload: Any = True, with_vectors: Any = False, **_: Any
    ) -> list[models.Record]:
        """The points with these ids that exist."""
        shard = self._shard(collection_name)
        with edge_errors():
            stored = shard.retrieve(
                list(dict.fromkeys(ids)), with_payload=payload_selector(with_payload), with_vector=with_vectors or False
            )
        return [record(point) for point in stored]

    def scroll(
        self,
        collection_name: str,
        scroll_filter: models.Filter | None = None,
        limit: int = 10,
        order_by: Any = None,
        offset: Any = None,
        with_payload: Any = True,
        with_vectors: Any = False,
        **_: Any,
    ) -> tuple[list[models.Record], Any]:
        """One page of the matching points, and the offset of the next one."""
        order = None
        if order_by is not None:
            ascending = order_by.direction != models.Direction.DESC
            direction = edge.Direction.Asc if ascending else edge.Direction.Desc
            order = edge.OrderBy(order_by.key, direction, order_by.start_from)
        request = edge.ScrollRequest(
            offset=offset,
            limit=limit,
            filter=edge_filter(scroll_filter),
            with_payload=payload_selector(with_payload),
            with_vector=with_vectors or False,
            order_by=order,
        )
        shard = self._shard(collection_name)
        with edge_errors():
            page, following = shard.scroll(request)
        return [record(point) for point in page], None if following is None else str(following)

    def count(
        self, collection_name: str, count_filter: models.Filter | None = None, exact: bool = True, **_: Any
    ) -> models.CountResult:
        """Number of matching points."""
        shard = self._shard(collection_name)
        with edge_errors():
            return models.CountResult(
                count=shard.count(edge.CountRequest(exact=exact, filter=edge_filter(count_filter)))
            )

    def facet(
        self, collection_name: str, key: str, facet_filter: models.Filter | None = None, limit: int = 10,
        exact: bool = False, **_: Any,
    ) -> models.FacetResponse:  # fmt: skip
        """Values of an indexed key, most frequent first."""
        shard = self._shard(collection_name)
        with edge_errors():
            hits = shard.facet(edge.FacetRequest(key, limit=limit, exact=exact, filter=edge_filter(facet_filter))).hits
        return models.FacetResponse(hits=[models.FacetValueHit(value=hit.value, count=hit.count) for hit in hits])

    def query_batch_points(
        self, collection_name: str, requests: Sequence[models.QueryRequest], **_: Any
    ) -> list[QueryResponse]:
        """The ranked points of each request."""
        shard = self._shard(collection_name)
        translator = Translator(LookUps(self._shard, collection_name))
        translated = [translator.request(request) for request in requests]
        with edge_errors():
            answers = shard.query_batch(edge.QueryBatchRequest(translated))
        return [QueryResponse.model_construct(points=[scored(point) for point in answer]) for answer in answers]

    # --- writing ------------------------------------------------------------------------------

    def upsert(
        self,
        collection_name: str,
        points: Sequence[models.PointStruct],
        update_filter: models.Filter | None = None,
        **_: Any,
    ) -> None:
        """Store whole points."""
        whole = models.PointsList(points=list(points), update_filter=update_filter)
        self.batch_update_points(collection_name, [models.UpsertOperation(upsert=whole)])

    def set_payload(
        self, collection_name: str, payload: Mapping[str, Any], points: models.Filter, key: str | None = None, **_: Any
    ) -> None:
        """Set these payload keys on all matching points."""
        change = models.SetPayload(payload=dict(payload), filter=points, key=key)
        self.batch_update_points(collection_name, [models.SetPayloadOperation(set_payload=change)])

    def delete(self, collection_name: str, points_selector: Any, **_: Any) -> None:
        """Delete points."""
        selector = models.PointIdsList(points=points_selector) if isinstance(points_selector, list) else points_selector
        self.batch_update_points(collection_name, [models.DeleteOperation(delete=selector)])

    def delete_vectors(
        self, collection_name: str, vectors: Sequence[str], points: models.FilterSelector, **_: Any
    ) -> None:
        """Delete named vectors."""
        removal = models.DeleteVectors(vector=list(vectors), filter=points.filter)
        self.batch_update_points(collection_name, [models.DeleteVectorsOperation(delete_vectors=removal)])

    def update_vectors(self, collection_name: str, points: Sequence[models.PointVectors], **_: Any) -> None:
        """Replace named vectors of existing points.

        Raises :class:`NotFound` for a missing point.
        """
        change = models.UpdateVectors(points=list(points))
        self.batch_update_points(collection_name, [models.UpdateVectorsOperation(update_vectors=change)])

    def batch_update_points(self, collection_name: str, update_operations: Sequence[Any], **_: Any) -> None:
        """Carry out update operations one after the other, each written ahead to the log of the shard."""
        shard, folder = self._shard(collection_name), self._entry(collection_name).folder
        if not all(isinstance(operation, models.DeleteOperation) for operation in update_operations):
            self._folder.check_space()
        for operation in update_operations:
            with edge_errors():
                for step in edge_operations(operation):
                    shard.update(step)
        self._upkeep.after(folder, shard, update_operations)


def _release(folder: Folder, shards: dict[str, edge.EdgeShard], temporary: bool) -> None:
    """Close the shards and the folder; called once, by ``close`` or when the client is forgotten."""
    if os.getpid() != folder.process:  # forked: everything belongs to the other process
        return
    for shard in shards.values():
        shard.close()
    shards.clear()
    if temporary:
        shutil.rmtree(folder.path, ignore_errors=True)
    folder.close()
