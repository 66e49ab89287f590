"""Typed steps about collections as a whole: names, aliases, metadata and payload indexes.

The rest of the package uses them through ``operations/calls.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qdrant_client import models

from llmrec_qdrant.contracts.paths import canonical_path
from llmrec_qdrant.errors import LlmrecError, SpaceNotFound
from llmrec_qdrant.operations.steps import Call, Steps, Together, call

__all__ = [
    "Description",
    "aliases",
    "change_aliases",
    "collection_exists",
    "collection_names",
    "create_collection",
    "create_index",
    "delete_collection",
    "delete_index",
    "describe",
    "index_kinds",
    "metadata",
    "names_and_metadata",
    "server_version",
    "update_metadata",
]


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
