"""Shards of Qdrant Edge: parameters, opening, and errors in our words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import qdrant_edge as edge
from pydantic import TypeAdapter
from qdrant_client import models

from llmrec_qdrant.errors import LlmrecError, NotFound, QdrantRefused, SpaceNotFound
from llmrec_qdrant.space.schema import index_kind

__all__ = [
    "collection_params",
    "create_shard",
    "edge_errors",
    "index_schema",
    "load_shard",
    "spec_as_json",
]

NO_VECTORS = {"none": edge.EdgeVectorParams(1, edge.Distance.Dot)}
"""A shard needs at least one vector; a collection without vectors gets one that no point ever has."""

_VECTORS = TypeAdapter(dict[str, models.VectorParams])
_SPARSE = TypeAdapter(dict[str, models.SparseVectorParams])


def spec_as_json(vectors: Mapping[str, models.VectorParams], sparse: Mapping[str, models.SparseVectorParams]) -> Any:
    """Vector parameters of a collection as JSON for the catalogue."""
    return {
        "vectors": _VECTORS.dump_python(dict(vectors), mode="json", exclude_none=True),
        "sparse": _SPARSE.dump_python(dict(sparse), mode="json", exclude_none=True),
    }


def collection_params(spec: Mapping[str, Any]) -> models.CollectionParams:
    """The vector parameters of a collection from its JSON in the catalogue."""
    vectors, sparse = _VECTORS.validate_python(spec["vectors"]), _SPARSE.validate_python(spec["sparse"])
    return models.CollectionParams(vectors=vectors, sparse_vectors=sparse)


def load_shard(path: Path) -> edge.EdgeShard:
    """Open the shard in a folder.

    Raises :class:`QdrantRefused` if it is missing or damaged.
    """
    if not (path / "edge_config.json").is_file():
        raise QdrantRefused(f"the collection in {str(path)!r} is missing: restore the whole folder from a copy")
    with edge_errors():
        return edge.EdgeShard.load(str(path))


def create_shard(path: Path, spec: Mapping[str, Any]) -> edge.EdgeShard:
    """Create a shard in a new folder."""
    with edge_errors():
        params = collection_params(spec)
        vectors = {name: _dense(vector) for name, vector in _named(params.vectors).items()}
        sparse = {name: _sparse(vector) for name, vector in _named(params.sparse_vectors).items()}
        config = edge.EdgeConfig(vectors=vectors or (None if sparse else NO_VECTORS), sparse_vectors=sparse or None)
        return edge.EdgeShard.create(str(path), config)


def _named(vectors: Any) -> dict[str, Any]:
    return vectors if isinstance(vectors, dict) else {}


def _dense(params: models.VectorParams) -> edge.EdgeVectorParams:
    several = params.multivector_config is not None
    graph = params.hnsw_config
    return edge.EdgeVectorParams(
        params.size,
        getattr(edge.Distance, params.distance.value),
        multivector_config=edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim) if several else None,
        hnsw_config=edge.HnswIndexConfig(0, 100, 10_000) if graph is not None and graph.m == 0 else None,
    )


def _sparse(params: models.SparseVectorParams) -> edge.EdgeSparseVectorParams:
    index = params.index
    return edge.EdgeSparseVectorParams(
        full_scan_threshold=index.full_scan_threshold if index else None,
        modifier=edge.Modifier.Idf if params.modifier == models.Modifier.IDF else None,
    )


def index_schema(schema: Any) -> Any:
    """The schema of a payload index: its kind, and whether it parts tenants."""
    if isinstance(schema, models.KeywordIndexParams):
        return edge.KeywordIndexParams(is_tenant=schema.is_tenant)
    if isinstance(schema, models.TextIndexParams):
        tokenizer = getattr(edge.TokenizerType, (schema.tokenizer or models.TokenizerType.WORD).value.capitalize())
        return edge.TextIndexParams(tokenizer, lowercase=schema.lowercase, phrase_matching=schema.phrase_matching)
    return getattr(edge.PayloadSchemaType, index_kind(schema).capitalize())


@contextmanager
def edge_errors() -> Iterator[None]:
    """Let only errors of this package out of the block."""
    try:
        yield
    except LlmrecError:
        raise
    except Exception as error:  # the binding raises plain exceptions
        text = " ".join(str(error).split())[:400]
        if "No point with id" in text:
            raise NotFound(f"embedded Qdrant cannot find it: {text}") from error
        if "Shard is not initialized" in text:
            raise SpaceNotFound(
                "the collection was deleted, or the folder was closed, while it was in use: try again"
            ) from error
        raise QdrantRefused(f"embedded Qdrant refused the request: {text}") from error
