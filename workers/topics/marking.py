"""TODO: workers.topics.marking."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from qdrant_client import QdrantClient, models

from llmrec_qdrant.operations.clock import iso
from llmrec_qdrant.operations.translate import translated
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import DENSE, TFIDF, TOPICS_EDITED, Key, Space

from ..items import assign
from ..storage import store
from ..storage.store import SpaceStore
from .record import FACET, LEASE, Run, _still, _unmarked, _write

__all__ = ["lately_edited", "mend_labels"]

log = logging.getLogger("llmrec.worker")

LEGS = (DENSE, TFIDF)
"""What items are clustered and marked by."""


SECONDS = 60.0
"""Marking per message: Redis hands a message out again after ten minutes."""


def _sizes(client: QdrantClient, space: Space, tenant: str) -> dict[str, int]:
    """Items per topic."""
    mine = conditions.where(conditions.equals(Key.TENANT, tenant))
    with translated():
        hits = client.facet(space.items, key=Key.TOPIC_IDS, facet_filter=mine, limit=FACET, exact=True).hits
    return {str(hit.value): hit.count for hit in hits}


def _mark(client: QdrantClient, space: Space, run: Run) -> bool:
    """Give every item its topic, as long as its text is the one that was read; False if there was no time for all."""
    end = time.monotonic() + SECONDS
    for page in store.scroll(client, space.items, _unmarked(run), [Key.TENANT, Key.SRC_HASH], LEGS):
        _still(client, space, run)
        known = assign.load(SpaceStore(client, space))  # page by page: a label may have changed
        payloads = [record.payload or {} for record in page]
        owners = [payload.get(Key.TENANT) or "" for payload in payloads]
        marks = known.marks(owners, [_vector(one, DENSE) for one in page], [_vector(one, TFIDF) for one in page])
        groups: dict[str, tuple[dict[str, Any], list[str]]] = {}
        for payload, found in zip(payloads, marks, strict=True):
            groups.setdefault(str(found), (found, []))[1].append(payload[Key.SRC_HASH])
        operations = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(
                    payload=found, filter=conditions.where(conditions.one_of(Key.SRC_HASH, hashes))
                )
            )
            for found, hashes in groups.values()
        ]
        with translated():
            client.batch_update_points(space.items, operations, wait=True)
        if time.monotonic() > end:
            _write(client, space, run)
            return False
    return True


def _finish(client: QdrantClient, space: Space, run: Run) -> None:
    """What is left of other fits goes, sizes and labels are put right, and the fit is through."""
    _still(client, space, run)
    others = models.Filter(must_not=[conditions.equals(Key.FIT, run.run)])
    with translated():
        client.delete(space.topics, models.FilterSelector(filter=others), wait=True)
        hits = client.facet(space.topics, key=Key.TENANT, limit=FACET).hits
    for tenant in [str(hit.value) for hit in hits]:
        _write_sizes(client, space, tenant)
    mend_labels(client, space)
    items = store.count(client, space.items)
    _still(client, space, run)
    _write(client, space, replace(run, stage="done", done=run.run, items=items, tries=0))
    log.info("fitted %d topics of %s", run.made, space.items)


def _write_sizes(client: QdrantClient, space: Space, tenant: str) -> None:
    sizes = _sizes(client, space, tenant)
    mine = conditions.where(conditions.equals(Key.TENANT, tenant))
    for page in store.scroll(client, space.topics, mine, [Key.TOPIC_ID]):
        operations = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(
                    payload={Key.SIZE: sizes.get((record.payload or {})[Key.TOPIC_ID], 0)},
                    filter=conditions.where(conditions.has_id(str(record.id))),
                )
            )
            for record in page
        ]
        with translated():
            client.batch_update_points(space.topics, operations, wait=True)


def mend_labels(client: QdrantClient, space: Space) -> None:
    """A worker may have had a label in memory while an admin changed it: give such items the label their topic has."""
    edited = conditions.where(conditions.equals(Key.LABEL_BY, "admin"))
    for page in store.scroll(client, space.topics, edited, [Key.TOPIC_ID, Key.LABEL]):
        for payload in (record.payload or {} for record in page):
            mine, label = conditions.equals(Key.TOPIC_IDS, payload[Key.TOPIC_ID]), payload[Key.LABEL]
            other = models.Filter(must=[mine], must_not=[conditions.equals(Key.TOPICS, label)])
            with translated():
                client.set_payload(space.items, {Key.TOPICS: [label]}, points=other, wait=True)


def lately_edited(client: QdrantClient, space: Space) -> bool:
    """Whether a worker may still have a label in memory that was changed."""
    with translated():
        stamp = (client.get_collection(space.items).config.metadata or {}).get(TOPICS_EDITED) or {}
    return str(stamp.get("at") or "") > iso(datetime.now(UTC) - timedelta(seconds=LEASE))


def _vector(record: models.Record, leg: str) -> Any:
    return record.vector.get(leg) if isinstance(record.vector, dict) else None
