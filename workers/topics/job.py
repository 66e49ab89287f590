"""A fit of topics from beginning to end, whatever happens in between: read a sample, fit, write topics, mark items.

How far it is stands in the metadata of the items collection. A fit has a name of its own; whoever begins another one
writes that name over it, so the fit asked for last wins, and the one before gives up at its next step. Every topic
and every item carries the name of the fit it is of. So whatever was missed (a worker that died, an item that was
encoded beside the fit with the topics of before) shows, and :mod:`workers.reconcile` has it done.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.operations.spaces import build_collection
from llmrec_qdrant.operations.steps import drive
from llmrec_qdrant.operations.translate import translated
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import DENSE, TFIDF, Key, Space

from ..items import assign
from ..items.assign import TopicPoint
from ..items.embed import source_text
from ..storage import store
from ..storage.store import SpaceStore
from ..text import words
from .fit import EXAMPLE, Fitted, Sample, fit_sample, how_many
from .marking import LEGS, _finish, _mark, _vector
from .record import Run, _still, _write, read, tenants

__all__ = ["advance"]


log = logging.getLogger("llmrec.worker")


SAMPLE = 20_000
"""Items clustered per tenant; all others follow by the rule of :mod:`workers.topics`."""


TERMS = 300
"""Words read of one item."""


def advance(client: QdrantClient, places: Sequence[Space], space: Space, config: SpaceConfig) -> bool:
    """Take the fit of one version on, the live one standing first in ``places``; True when it is through.

    Raises :class:`Superseded`.
    """
    run = read(client, space)
    if run.stage == "fitting":
        run = _fit(client, places, space, config, run)
    if run.stage not in {"marking", "done"}:
        return True
    if not _mark(client, space, run):
        return False
    if run.stage == "marking":
        _finish(client, space, run)
    return True


def _fit(client: QdrantClient, places: Sequence[Space], space: Space, config: SpaceConfig, run: Run) -> Run:
    """Cluster tenant by tenant and write the topics. A version that is not live takes over what the live one has."""
    for kind in ("items", "topics"):
        drive(build_collection(kind, space.collection(kind), config), client, NoQueue())
    live = places[0]
    run = replace(
        run, last=max(read(client, one).last for one in places), of="" if space == live else read(client, live).done
    )
    run = replace(run, made=0)
    owners = tenants(client, space)
    for tenant in owners:
        old = assign.read_points(SpaceStore(client, live), tenant)
        run = replace(run, last=max([run.last, *(int(one.id) for one in old)]))
        sample = _read(client, space, config, tenant, live)
        had = sum(one.size for one in old)
        grown = how_many(_count(client, space, tenant)) - how_many(had) if had else 0
        made, last = fit_sample(sample, run.topics, old, max(0, grown), run.last)
        _still(client, space, run)
        run = _write(client, space, replace(run, last=last, made=run.made + len(made)))
        _write_topics(client, space, live, run, tenant, made)
    _still(client, space, run)
    return _write(client, space, replace(run, stage="marking", tenants=len(owners)))


def _count(client: QdrantClient, space: Space, tenant: str) -> int:
    return store.count(client, space.items, conditions.where(conditions.equals(Key.TENANT, tenant)))


def _read(client: QdrantClient, space: Space, config: SpaceConfig, tenant: str, live: Space) -> Sample:
    """A sample of a tenant's items; point ids are digests, so the first ones are a random choice."""
    terms: list[list[words.Term]] = []
    sample = Sample(terms, [], [], [], [], tenant)
    mine = conditions.where(conditions.equals(Key.TENANT, tenant), conditions.equals(Key.STALE, False))
    wanted = [Key.TITLE, Key.TEXT, Key.TOPIC_IDS, Key.ITEM_ID]
    for page in store.scroll(client, space.items, mine, wanted, LEGS):
        before = _topics_of(client, live, page) if live != space else {}
        for record in page:
            payload = record.payload or {}
            terms.append(words.terms(source_text(payload), config.stemmer)[:TERMS])
            dense = _vector(record, DENSE)
            sample.dense.append(None if dense is None else np.asarray(dense, dtype=np.float32))
            sample.words.append(_vector(record, TFIDF))
            sample.titles.append((payload.get(Key.TITLE) or payload.get(Key.ITEM_ID) or "")[:EXAMPLE])
            had = before.get(str(record.id)) if live != space else payload.get(Key.TOPIC_IDS)
            sample.before.append(had[0] if had else None)
        if len(terms) >= SAMPLE:
            break
    return sample


def _topics_of(client: QdrantClient, space: Space, page: Sequence[models.Record]) -> dict[str, list[str]]:
    with translated():
        found = client.retrieve(space.items, [record.id for record in page], with_payload=[Key.TOPIC_IDS])
    return {str(record.id): (record.payload or {}).get(Key.TOPIC_IDS) or [] for record in found}


def _write_topics(
    client: QdrantClient, space: Space, live: Space, run: Run, tenant: str, made: Sequence[Fitted]
) -> None:
    """Write the topics of a tenant. The label of one that exists is not touched: somebody may be editing it."""
    there = {one.id: one for one in assign.read_points(SpaceStore(client, space), tenant)}
    named = there if space == live else {one.id: one for one in assign.read_points(SpaceStore(client, live), tenant)}
    fresh = [_named(one, named) for one in made if one.topic.id not in there]
    for some in batches(fresh, 50):
        points = [
            models.PointStruct(id=_point(one), vector=_vectors(one.topic), payload=_payload(one, run.run, True))
            for one in some
        ]
        with translated():
            client.upsert(space.topics, points, wait=True)
    kept = [one for one in made if one.topic.id in there]
    for some in batches(kept, 50):
        vectors = [models.PointVectors(id=_point(one), vector=found) for one in some if (found := _vectors(one.topic))]
        payloads = [
            models.SetPayload(
                payload=_payload(one, run.run, False), filter=conditions.where(conditions.has_id(_point(one)))
            )
            for one in some
        ]
        store.write_existing(client, space.topics, vectors, None, payloads)
    blind = [_point(one) for one in kept if one.topic.dense is None and there[one.topic.id].dense is not None]
    if blind:
        with translated():
            client.delete_vectors(
                space.topics, [DENSE], models.FilterSelector(filter=conditions.where(conditions.has_id(*blind)))
            )


def _named(one: Fitted, named: Mapping[str, TopicPoint]) -> Fitted:
    twin = named.get(one.topic.id)
    return replace(one, topic=replace(one.topic, label=twin.label, label_by=twin.label_by)) if twin else one


def _point(one: Fitted) -> str:
    return point_id("topic", one.topic.id)


def _vectors(topic: TopicPoint) -> dict[str, Any]:
    found: dict[str, Any] = {} if topic.dense is None else {DENSE: topic.dense.tolist()}
    if topic.words:
        found[TFIDF] = models.SparseVector(indices=list(topic.words), values=list(topic.words.values()))
    return found


def _payload(one: Fitted, run: str, label: bool) -> dict[str, Any]:
    topic = one.topic
    named = {Key.LABEL: topic.label, Key.LABEL_BY: topic.label_by} if label else {}
    return {
        Key.TOPIC_ID: topic.id, Key.TENANT: topic.tenant, **named, Key.KEYWORDS: list(topic.keywords),
        Key.EXAMPLES: one.examples, Key.SIZE: one.size, Key.CUT: [round(value, 6) for value in topic.cut],
        Key.FIT: run, Key.UPDATED_AT: now(),
    }  # fmt: skip
