"""Stale items and texts → dense and tfidf vectors, written only where the source is still the same."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.operations.translate import translated
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import DENSE, FRESH, TFIDF, Key, Space

from ..encoding.encoder import Encoder
from ..encoding.loading import load_encoder
from ..storage import store
from ..storage.lease import attempt
from ..text import clean
from ..text import words as text_words
from .assign import SpaceTopics

__all__ = ["Embedded", "embed", "mark_authors", "source_text", "sparse", "wake_waiting"]


log = logging.getLogger("llmrec.worker")


GROUP = 64
"""Points that are encoded and written together; a message holds several such groups."""


@dataclass(frozen=True)
class Embedded:
    """What became of a message."""

    done: list[models.Record] = field(default_factory=list)
    """Points as they were before."""
    again: list[str] = field(default_factory=list)
    """Ids to be tried again, each alone."""


def sparse(words: Sequence[text_words.Term]) -> models.SparseVector:
    """The tfidf vector: unit-norm sublinear term frequencies; Qdrant multiplies by IDF at query time."""
    summed = text_words.indexed(words)
    return models.SparseVector(indices=list(summed), values=list(summed.values()))


@dataclass(frozen=True)
class _Words:
    """What the words of a text become."""

    vector: models.SparseVector | None
    """None where there are none."""
    shown: list[str]

    @classmethod
    def of(cls, source: str, stemmer: str) -> _Words:
        terms = text_words.terms(source, stemmer)
        return cls(sparse(terms) if terms else None, text_words.keywords(terms))


def source_text(payload: dict[str, Any]) -> str:
    """The text of an item or text point that is encoded."""
    parts = (payload.get(Key.TITLE) or "", payload.get(Key.TEXT) or "")
    joined: str = clean.clean("\n".join(part.strip() for part in parts if part.strip()))
    return joined


def embed(
    client: QdrantClient, collection: str, config: SpaceConfig, ids: Sequence[str], topics: SpaceTopics | None = None
) -> Embedded:
    """Encode the stale ones among ``ids``; where ``topics`` are given, each gets its topic in the same write.

    A point edited meanwhile keeps its ``stale`` mark; a point deleted meanwhile stays deleted.
    """
    with translated():
        found = client.retrieve(collection, list(ids), with_payload=True)
    todo = [record for record in found if (record.payload or {}).get(Key.STALE)]
    if not todo:
        return Embedded()
    encoder = load_encoder(config)  # first: a model that cannot be loaded is not the points' fault
    again = attempt(
        client,
        collection,
        todo,
        Key.SRC_HASH,
        lambda group: _encode(client, collection, config, encoder, group, topics),
    )
    failed = set(again)
    return Embedded([record for record in todo if str(record.id) not in failed], again)


def _encode(
    client: QdrantClient, collection: str, config: SpaceConfig, encoder: Encoder, todo: list[models.Record],
    topics: SpaceTopics | None,
) -> None:  # fmt: skip
    """Longest texts first, group by group: while the encoder works on the next two, one is uploaded."""
    given = sorted(((source_text(record.payload or {}), record) for record in todo), key=lambda pair: -len(pair[0]))
    groups = list(batches(given, GROUP))
    with ThreadPoolExecutor(2, thread_name_prefix="embed") as threads:  # two: no core waits for the end of a group
        coming = threads.map(encoder.encode, [[source for source, _ in group] for group in groups])
        for group in groups:
            words = [_Words.of(source, config.stemmer) for source, _ in group]
            _write(client, collection, config, [record for _, record in group], next(coming), words, topics)
    log.info("encoded %d points of %s", len(todo), collection)


def _write(
    client: QdrantClient,
    collection: str,
    config: SpaceConfig,
    todo: list[models.Record],
    dense: np.ndarray,
    words: list[_Words],
    topics: SpaceTopics | None,
) -> None:
    points: list[models.PointVectors] = []
    own: list[models.SetPayload] = []
    marks: list[dict[str, Any]] = [{}] * len(todo)
    if topics is not None and topics.fit:
        tenants = [(record.payload or {}).get(Key.TENANT) or "" for record in todo]
        bags = [one.vector for one in words]
        marks = topics.marks(tenants, [row if row.any() else None for row in dense], bags)
    lost: dict[str, list[models.Record]] = {DENSE: [], TFIDF: []}
    by_legs: dict[tuple[str, ...], list[models.Record]] = {}
    for record, row, said, topic in zip(todo, dense, words, marks, strict=True):
        vector: dict[str, Any] = {DENSE: row.tolist()} if row.any() else {}
        if said.vector:
            vector[TFIDF] = said.vector
        if vector:
            points.append(models.PointVectors(id=record.id, vector=vector))
        by_legs.setdefault(tuple(vector), []).append(record)
        had = (record.payload or {}).get(Key.LEGS) or []
        for leg in lost:
            if leg in had and leg not in vector:
                lost[leg].append(record)
        own.append(
            models.SetPayload(
                payload={Key.TERMS: said.shown, **topic}, filter=conditions.unchanged([record], Key.SRC_HASH)
            )
        )
    for leg, records in lost.items():
        if records:
            with translated():
                client.delete_vectors(
                    collection, [leg], models.FilterSelector(filter=conditions.unchanged(records, Key.SRC_HASH))
                )
    derived = {Key.STALE: False, Key.ATTEMPTS: 0, Key.MODEL: config.encoder_id, Key.EMBEDDED_AT: now()}
    done = [
        models.SetPayload(payload={**derived, Key.LEGS: list(legs)}, filter=conditions.unchanged(records, Key.SRC_HASH))
        for legs, records in by_legs.items()
    ]
    store.write_existing(client, collection, points, conditions.unchanged(todo, Key.SRC_HASH), done, before=own)


def wake_waiting(client: QdrantClient, space: Space, items: Sequence[models.Record]) -> None:
    """Mark the users stale who waited for items that now have their first vectors."""
    by_tenant: dict[str, list[str]] = {}
    for record in items:
        payload = record.payload or {}
        if not payload.get(Key.LEGS):
            by_tenant.setdefault(payload.get(Key.TENANT) or "", []).append(payload[Key.ITEM_ID])
    for tenant, ids in by_tenant.items():
        waiting = conditions.where(conditions.equals(Key.TENANT, tenant), conditions.one_of(Key.WAITING, ids))
        with translated():
            client.set_payload(space.users, {**FRESH, Key.REVISION: uuid.uuid4().hex}, points=waiting)


def mark_authors(client: QdrantClient, space: Space, texts: Sequence[models.Record]) -> list[str]:
    """Mark the users stale whose texts have new vectors; returns their point ids."""
    authors = {
        point_id("user", payload[Key.USER_ID], payload.get(Key.TENANT) or None)
        for record in texts
        if (payload := record.payload or {}).get(Key.USER_ID)
    }
    if authors:
        with translated():
            client.set_payload(
                space.users,
                {**FRESH, Key.REVISION: uuid.uuid4().hex},
                points=conditions.where(conditions.has_id(*authors)),
            )
    return sorted(authors)
