"""Spaces that are moved: the demo catalogue, everything a Qdrant holds of a space, and moves that die."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models

from llmrec_qdrant import Recommendation, Recommender, SpaceConfig
from llmrec_qdrant.connect import open_sync
from tests.services import ROOT
from tests.spaces import fresh_name

CONFIG = SpaceConfig(model="hash", size=16, fields={"lang": "keyword", "genre": "keyword", "year": "integer"})
USERS = ("林-科幻", "maria-baker", "sam-quant")


def load_demo(rec: Recommender) -> None:
    """Store every fourth item of the demo catalogue and the events about them, and do all work on them."""
    rec.create(CONFIG)
    rows = sample("items")[::4]
    rec.upsert_items(rows, notify=False)
    chosen = {row["id"] for row in rows}
    rec.track([event for event in sample("events") if event.get("item", rows[0]["id"]) in chosen])
    rec.reconcile()


def sample(kind: str) -> list[dict[str, Any]]:
    """Rows of the demo."""
    return [json.loads(line) for line in (ROOT / "examples" / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()]


def everything(client: QdrantClient, space: str, also: str = "") -> dict[str, Any]:
    """All that a Qdrant holds of a space, read with its client: collection → parameters, metadata, indexes, points; and aliases.

    Names begin with ``also`` instead of the space, so that spaces of two names can be compared.
    """
    held: dict[str, Any] = {}
    for name in sorted(collection.name for collection in client.get_collections().collections):
        if name.startswith(f"{space}_"):
            held[name.replace(space, also or space, 1)] = described(client, name)
    named = {alias.alias_name: alias.collection_name for alias in client.get_aliases().aliases}
    held["aliases"] = {
        alias.replace(space, also or space, 1): name.replace(space, also or space, 1)
        for alias, name in named.items()
        if alias.startswith(f"{space}_")
    }
    return held


def described(client: QdrantClient, name: str) -> dict[str, Any]:
    info = client.get_collection(name)
    params = info.config.params.model_dump(mode="json", exclude_none=True)
    return {
        "vectors": params.get("vectors", {}),
        "sparse": params.get("sparse_vectors", {}),
        "metadata": info.config.metadata or {},
        "indexes": {key: getattr(kind, "data_type", kind) for key, kind in (info.payload_schema or {}).items()},
        "points": {str(record.id): values(record) for record in records(client, name)},
    }


def records(client: QdrantClient, name: str) -> Iterator[models.Record]:
    offset = None
    while True:
        page, offset = client.scroll(name, limit=300, offset=offset, with_payload=True, with_vectors=True)
        yield from page
        if offset is None:
            return


def values(record: models.Record) -> tuple[str, dict[str, Any]]:
    """The payload as JSON text, with its types and the order of its keys, and the bytes of each vector."""
    vectors = record.vector if isinstance(record.vector, dict) else {}
    return json.dumps(record.payload, ensure_ascii=False), {name: as_bytes(vector) for name, vector in vectors.items()}


def as_bytes(vector: Any) -> Any:
    if isinstance(vector, models.SparseVector):
        return vector.indices, np.asarray(vector.values, np.float32).tobytes()
    rows = np.asarray(vector, np.float32)
    return rows.shape, rows.tobytes()


TIE = 1e-4
"""Difference between scores that two runs of one engine can show."""


def lists(rec: Recommender) -> list[list[Recommendation]]:
    """Lists of several kinds."""
    for_users = [rec.recommend(user, 10, explain=True) for user in USERS]
    return [*for_users, rec.similar_items("zh-film-interstellar"), rec.search("space travel"), rec.top(5)]


def same_lists(some: list[list[Recommendation]], other: list[list[Recommendation]], tie: float = TIE) -> bool:
    """Whether two recommenders gave the same scores within ``tie``, and the same items where no score is tied."""
    return all(_same_list(mine, theirs, tie) for mine, theirs in zip(some, other, strict=True))


def _same_list(some: list[Recommendation], other: list[Recommendation], tie: float) -> bool:
    scores = [item.score for item in some]
    if not scores or len(some) != len(other) or not np.allclose(scores, [item.score for item in other], atol=tie):
        return False
    pairs = zip(some, other, strict=True)
    clear = [pair for pair in pairs if sum(abs(pair[0].score - score) <= tie for score in [*scores, scores[-1]]) == 1]
    return all(
        (mine.id, mine.title, mine.payload) == (theirs.id, theirs.title, theirs.payload) for mine, theirs in clear
    )


@contextmanager
def server_space(url: str, name: str = "") -> Iterator[Recommender]:
    """A space on a server, which may not exist yet; deleted afterwards in all its versions."""
    with Recommender.connect(url, space=name or fresh_name()) as rec:
        yield rec
        remove(url, rec.space)


def remove(url: str, space: str) -> None:
    client = open_sync(url)
    for collection in client.get_collections().collections:
        if collection.name.startswith(f"{space}_"):
            client.delete_collection(collection.name)
    client.close()
