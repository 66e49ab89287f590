"""The vectors and payload indexes of each kind of collection."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from qdrant_client import models

from llmrec_qdrant.contracts.config import FieldKind, SpaceConfig
from llmrec_qdrant.space.job_record import JOB_INDEXES
from llmrec_qdrant.space.layout import COLLAB, DENSE, INTERESTS, TFIDF, CollectionKind, Key
from llmrec_qdrant.space.words import words_key

__all__ = ["FILTERABLE", "SHARDS", "collection_spec", "field_indexes", "index_kind", "indexes"]


SPARSE_SCAN = 10
"""Matching points up to which a filtered sparse query scans them instead of its index. With Qdrant's default of 5,000 it scans
whole segments that are not indexed yet; the threshold of an existing segment cannot be changed."""


SHARDS = 1
"""Shards of a collection: lists are fused within a shard (qdrant#10640), so all candidates must lie in one. In a cluster, Qdrant
would otherwise create one per node."""


def _sparse_index() -> models.SparseIndexParams:
    return models.SparseIndexParams(full_scan_threshold=SPARSE_SCAN)


def _dense(config: SpaceConfig) -> models.VectorParams:
    return models.VectorParams(size=config.size, distance=models.Distance.COSINE)


def _interests(config: SpaceConfig) -> models.VectorParams:
    return models.VectorParams(
        size=config.size,
        distance=models.Distance.COSINE,
        multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
        hnsw_config=models.HnswConfigDiff(m=0),  # read by id, never searched: no graph
    )


def collection_spec(kind: CollectionKind, config: SpaceConfig) -> dict[str, Any]:
    """Return the arguments of ``create_collection`` for one kind of collection.

    The ``tfidf`` vector has Qdrant's IDF modifier: stored values are term frequencies, and the server multiplies each
    *query* value by the current inverse document frequency, so IDF is never stale.
    """
    dense = {DENSE: _dense(config)}
    sparse = {
        TFIDF: models.SparseVectorParams(index=_sparse_index(), modifier=models.Modifier.IDF),
        COLLAB: models.SparseVectorParams(index=_sparse_index()),
    }
    spec: dict[str, Any]
    match kind:
        case "items":
            return {"vectors_config": dense, "sparse_vectors_config": sparse, "shard_number": SHARDS}
        case "users":
            spec = {"vectors_config": {**dense, INTERESTS: _interests(config)}, "sparse_vectors_config": sparse}
            return {**spec, "shard_number": SHARDS}
        case "texts":
            return {"vectors_config": dense, "sparse_vectors_config": {TFIDF: sparse[TFIDF]}}
        case "topics":
            return {"vectors_config": dense, "sparse_vectors_config": {TFIDF: sparse[TFIDF]}}
        case "events" | "jobs":
            return {"vectors_config": {}}


_BUILT_IN: dict[CollectionKind, dict[str, FieldKind]] = {
    "items": {
        Key.ITEM_ID: "keyword", Key.SRC_HASH: "keyword", Key.STALE: "bool", Key.TOPICS: "keyword",
        Key.TOPIC_IDS: "keyword", Key.FIT: "keyword",
        Key.TERMS: "keyword", Key.LEGS: "keyword", Key.POPULARITY: "float", Key.COLLAB_SINCE: "datetime",
        Key.EMBEDDED_AT: "datetime",
    },
    "users": {
        Key.USER_ID: "keyword", Key.STALE: "bool", Key.REVISION: "keyword", Key.WAITING: "keyword",
        Key.UPDATED_AT: "datetime", Key.FOLDING: "keyword",
    },
    "texts": {
        Key.USER_ID: "keyword", Key.SRC_HASH: "keyword", Key.STALE: "bool", Key.SEARCHED_AT: "datetime", Key.EMBEDDED_AT: "datetime",
    },
    "topics": {Key.LABEL: "keyword", Key.TOPIC_ID: "keyword", Key.FIT: "keyword", Key.LABEL_BY: "keyword"},
    "events": {
        Key.USER_ID: "keyword", Key.ITEM_ID: "keyword", Key.TYPE: "keyword", Key.TS: "datetime", Key.FOLDED: "bool",
        Key.SRC_HASH: "keyword", Key.SET_ASIDE: "bool",
    },
    "jobs": {},
}  # fmt: skip


def indexes(kind: CollectionKind, config: SpaceConfig) -> dict[str, Any]:
    """Return payload key → index schema; create these indexes before storing data."""
    if kind == "jobs":
        return dict(JOB_INDEXES)
    own: dict[str, Any] = dict(_BUILT_IN[kind])
    tenant = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
    work: dict[str, Any] = {Key.LEASE: "datetime", Key.SET_ASIDE: "bool"} if Key.STALE in own else {}
    return {Key.TENANT: tenant, **own, **work, **(field_indexes(config) if kind == "items" else {})}


def field_indexes(config: SpaceConfig, paths: Collection[str] | None = None) -> dict[str, Any]:
    """Return payload key → index schema of the caller's own fields, or of some; a text field is searched by its words."""
    return {
        words_key(path) if kind == "text" else path: _words_index() if kind == "text" else kind
        for path, kind in config.fields.items()
        if paths is None or path in paths
    }


def index_kind(schema: Any) -> str:
    """Return the kind of an index by its schema, as Qdrant names it."""
    kind = schema if isinstance(schema, str) else schema.type
    return str(getattr(kind, "value", kind))


def _words_index() -> models.TextIndexParams:
    """Return the index of words that are separated already: Qdrant splits at spaces and keeps their order for phrases."""
    return models.TextIndexParams(
        type=models.TextIndexType.TEXT, tokenizer=models.TokenizerType.WHITESPACE, lowercase=False, phrase_matching=True
    )


FILTERABLE: dict[str, FieldKind] = {
    key: _BUILT_IN["items"][key] for key in (Key.ITEM_ID, Key.TOPICS, Key.TOPIC_IDS, Key.TERMS, Key.POPULARITY)
}
"""Fields of every item, beside the caller's own, that filters may use: docs/filters.md names them."""
