"""A worker under a memory limit, with hundreds of the longest texts that are allowed beside short ones."""

from __future__ import annotations

import os

import pytest
from qdrant_client import QdrantClient, models

from benchmarks import memory
from llmrec_qdrant import Recommender, SpaceConfig
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.testing import MemoryQueue

LIMIT = 1_200
"""MiB."""

pytestmark = [pytest.mark.qdrant, pytest.mark.slow, pytest.mark.model]


@pytest.mark.skipif(not os.access(memory.CGROUPS, os.W_OK), reason="control groups of memory cannot be made here")
def test_a_worker_under_a_limit_encodes_256_texts_of_a_megabyte_and_the_small_ones(qdrant_url: str) -> None:
    rec = Recommender(QdrantClient(qdrant_url, timeout=120), MemoryQueue(), "limited")
    rec.create(SpaceConfig())
    try:
        memory.fill(rec, memory.LARGE)
        with memory.limited(LIMIT) as join:
            assert memory.peak(qdrant_url, "limited", "encode items", join) is not None  # None: it was killed
        waiting = models.Filter(must=[models.FieldCondition(key=Key.STALE, match=models.MatchValue(value=True))])
        items = f"{rec.space}_items"
        assert rec.client.count(items, count_filter=waiting).count == 0
        records, _ = rec.client.scroll(
            items, limit=1_000, with_payload=["item_id", "bookkeeping"], with_vectors=["dense"]
        )
        assert len(records) == memory.LARGE + memory.SMALL
        assert all("dense" in record.vector for record in records if record.payload["item_id"].startswith("small"))  # type: ignore[operator,index]
        aside = [record for record in records if not record.vector]
        assert all(record.payload["bookkeeping"].get("set_aside_why") for record in aside)  # type: ignore[index]
    finally:
        for name in [one.name for one in rec.client.get_collections().collections if one.name.startswith("limited_")]:
            rec.client.delete_collection(name)
