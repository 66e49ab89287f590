"""A fit of topics from beginning to end, whatever happens in between: read a sample, fit, write topics, mark items.

How far it is stands in the metadata of the items collection. A fit has a name of its own; whoever begins another one
writes that name over it, so the fit asked for last wins, and the one before gives up at its next step. Every topic
and every item carries the name of the fit it is of. So whatever was missed (a worker that died, an item that was
encoded beside the fit with the topics of before) shows, and :mod:`workers.reconcile` has it done.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models

from llmrec_qdrant.admin import build_collection
from llmrec_qdrant.contracts import SpaceConfig
from llmrec_qdrant.effects import drive
from llmrec_qdrant.ids import point_id
from llmrec_qdrant.jobs import NoQueue
from llmrec_qdrant.layout import DENSE, TFIDF, TOPICS_EDITED, TOPICS_FIT, Key, Space
from llmrec_qdrant.translate import translated
from llmrec_qdrant.writes import batches, iso, now
from workers import store, text, topics
from workers.embed import source_text
from workers.topic_fit import EXAMPLE, LEAST, Fitted, Sample, fit_sample, how_many
from workers.topics import TopicPoint

__all__ = [
    "Run",
    "Superseded",
    "advance",
    "begin",
    "due",
    "lately_edited",
    "lost",
    "mend_labels",
    "outdated",
    "read",
    "unfinished",
]

log = logging.getLogger("llmrec.worker")

SAMPLE = 20_000
"""Items clustered per tenant; all others follow by the rule of :mod:`workers.topics`."""
TERMS = 300
"""Words read of one item."""
GROWTH = 1.5
"""The topics are fitted anew when there are this many times the items they were fitted on; first only when asked to."""
TENANTS_GROWTH = 1.1
"""The same for tenants, which have no topics before."""
LEASE = 300.0
"""Seconds without a sign of life after which a fit is taken up by somebody else: the longest step is one clustering."""
TRIES = 3
"""Times that an interrupted fit is begun anew."""
SECONDS = 60.0
"""Marking per message: Redis hands a message out again after ten minutes."""
LEGS = (DENSE, TFIDF)
"""What items are clustered and marked by."""
FACET = 10_000
"""Most tenants, and most topics, of a space."""


class Superseded(Exception):
    """Another fit was begun: this one has nothing more to say."""


@dataclass(frozen=True)
class Run:
    """How far the last fit is."""

    run: str = ""
    """Name of the fit; empty: there never was one."""
    stage: str = ""
    """fitting, marking, done or failed."""
    topics: int | None = None
    """How many were asked for."""
    tries: int = 0
    beat: str = ""
    """When somebody last worked on it."""
    done: str = ""
    """Name of the last fit that is through."""
    of: str = ""
    """Of a version that is not live: the fit of the live one whose ids and labels it took over."""
    last: int = 0
    """The last number that was given to a topic."""
    items: int = 0
    """Items when it was through."""
    tenants: int = 0
    """Tenants with enough items."""
    made: int = 0
    """Topics it wrote."""


def read(client: QdrantClient, space: Space) -> Run:
    """The state of a version of a space."""
    stored = topics.read_fit(client, space)
    return Run(**{name: stored[name] for name in Run.__dataclass_fields__ if name in stored})


def _write(client: QdrantClient, space: Space, run: Run) -> Run:
    run = replace(run, beat=now())
    with translated():
        client.update_collection(space.items, metadata={TOPICS_FIT: asdict(run)})
    return run


def _still(client: QdrantClient, space: Space, run: Run) -> None:
    if read(client, space).run != run.run:
        raise Superseded


def begin(client: QdrantClient, space: Space, number: int | None, again: bool = False) -> bool:
    """Begin a fit; from now on it is the one that counts. ``again``: as one was interrupted; False after ``TRIES``."""
    old = read(client, space)
    tries = old.tries + 1 if again and old.stage == "fitting" else 1
    if tries > TRIES:
        log.error("the topics of %s could not be fitted in %d tries", space.items, TRIES)
        _write(client, space, replace(old, stage="failed"))
        return False
    _write(client, space, replace(old, run=uuid.uuid4().hex[:12], stage="fitting", topics=number, tries=tries))
    return True


def unfinished(client: QdrantClient, space: Space) -> bool:
    """Whether a fit has given no sign of life for a while, or left something out."""
    run = read(client, space)
    if run.stage in {"fitting", "marking"}:
        return _silent(run)
    return run.stage == "done" and (
        not _sound(client, space, run) or store.count(client, space.items, _unmarked(run)) > 0
    )


def lost(client: QdrantClient, space: Space) -> bool:
    """Whether a fit must begin anew: nobody is at it any more, or its topics are not those it wrote."""
    run = read(client, space)
    if run.stage == "fitting":
        return _silent(run)
    return run.stage in {"marking", "done"} and not _sound(client, space, run)


def _silent(run: Run) -> bool:
    return run.beat < iso(datetime.now(UTC) - timedelta(seconds=LEASE))


def _sound(client: QdrantClient, space: Space, run: Run) -> bool:
    """The topics that exist are those of the fit: another one that was slow to give up may have written since."""
    mine = store.count(client, space.topics, store.where(store.equals(Key.FIT, run.run)))
    return mine == run.made and (run.stage == "marking" or mine == store.count(client, space.topics))


def outdated(client: QdrantClient, space: Space, live: Space) -> bool:
    """Whether a version lacks what the last fit gave the ``live`` one."""
    run, wanted = read(client, space), read(client, live)
    if space == live or not wanted.done or run.stage == "failed":
        return False
    return run.of != wanted.done and (not run.done or wanted.of != run.done)


def due(client: QdrantClient, space: Space) -> bool:
    """Whether the catalogue has outgrown topics that somebody once asked for; not in the middle of a load."""
    run = read(client, space)
    if run.stage != "done":
        return False
    items = store.count(client, space.items)
    grown = items >= max(GROWTH * run.items, LEAST) and items > run.items
    if not grown and len(tenants(client, space)) <= TENANTS_GROWTH * run.tenants:
        return False
    return store.count(client, space.items, store.where(store.stale())) <= items / 100


def tenants(client: QdrantClient, space: Space) -> list[str]:
    """Those with enough items."""
    with translated():
        hits = client.facet(space.items, key=Key.TENANT, limit=FACET).hits
    return [str(hit.value) for hit in hits if hit.count >= LEAST]


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


# --- fitting --------------------------------------------------------------------------------------


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
        old = topics.read_points(client, live, tenant)
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
    return store.count(client, space.items, store.where(store.equals(Key.TENANT, tenant)))


def _sizes(client: QdrantClient, space: Space, tenant: str) -> dict[str, int]:
    """Items per topic."""
    mine = store.where(store.equals(Key.TENANT, tenant))
    with translated():
        hits = client.facet(space.items, key=Key.TOPIC_IDS, facet_filter=mine, limit=FACET, exact=True).hits
    return {str(hit.value): hit.count for hit in hits}


def _read(client: QdrantClient, space: Space, config: SpaceConfig, tenant: str, live: Space) -> Sample:
    """A sample of a tenant's items; point ids are digests, so the first ones are a random choice."""
    terms: list[list[text.Term]] = []
    sample = Sample(terms, [], [], [], [], tenant)
    mine = store.where(store.equals(Key.TENANT, tenant), store.equals(Key.STALE, False))
    wanted = [Key.TITLE, Key.TEXT, Key.TOPIC_IDS, Key.ITEM_ID]
    for page in store.scroll(client, space.items, mine, wanted, LEGS):
        before = _topics_of(client, live, page) if live != space else {}
        for record in page:
            payload = record.payload or {}
            terms.append(text.terms(source_text(payload), config.stemmer)[:TERMS])
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


def _vector(record: models.Record, leg: str) -> Any:
    return record.vector.get(leg) if isinstance(record.vector, dict) else None


def _write_topics(
    client: QdrantClient, space: Space, live: Space, run: Run, tenant: str, made: Sequence[Fitted]
) -> None:
    """Write the topics of a tenant. The label of one that exists is not touched: somebody may be editing it."""
    there = {one.id: one for one in topics.read_points(client, space, tenant)}
    named = there if space == live else {one.id: one for one in topics.read_points(client, live, tenant)}
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
            models.SetPayload(payload=_payload(one, run.run, False), filter=store.where(store.has_id(_point(one))))
            for one in some
        ]
        store.write_existing(client, space.topics, vectors, None, payloads)
    blind = [_point(one) for one in kept if one.topic.dense is None and there[one.topic.id].dense is not None]
    if blind:
        with translated():
            client.delete_vectors(
                space.topics, [DENSE], models.FilterSelector(filter=store.where(store.has_id(*blind)))
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


# --- marking --------------------------------------------------------------------------------------


def _unmarked(run: Run) -> models.Filter:
    """Encoded items whose topic is of another fit."""
    return models.Filter(must=[store.equals(Key.STALE, False)], must_not=[store.equals(Key.FIT, run.run)])


def _mark(client: QdrantClient, space: Space, run: Run) -> bool:
    """Give every item its topic, as long as its text is the one that was read; False if there was no time for all."""
    end = time.monotonic() + SECONDS
    for page in store.scroll(client, space.items, _unmarked(run), [Key.TENANT, Key.SRC_HASH], LEGS):
        _still(client, space, run)
        known = topics.load(client, space)  # page by page: a label may have changed
        payloads = [record.payload or {} for record in page]
        owners = [payload.get(Key.TENANT) or "" for payload in payloads]
        marks = known.marks(owners, [_vector(one, DENSE) for one in page], [_vector(one, TFIDF) for one in page])
        groups: dict[str, tuple[dict[str, Any], list[str]]] = {}
        for payload, found in zip(payloads, marks, strict=True):
            groups.setdefault(str(found), (found, []))[1].append(payload[Key.SRC_HASH])
        operations = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(payload=found, filter=store.where(store.one_of(Key.SRC_HASH, hashes)))
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
    others = models.Filter(must_not=[store.equals(Key.FIT, run.run)])
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
    mine = store.where(store.equals(Key.TENANT, tenant))
    for page in store.scroll(client, space.topics, mine, [Key.TOPIC_ID]):
        operations = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(
                    payload={Key.SIZE: sizes.get((record.payload or {})[Key.TOPIC_ID], 0)},
                    filter=store.where(store.has_id(str(record.id))),
                )
            )
            for record in page
        ]
        with translated():
            client.batch_update_points(space.topics, operations, wait=True)


def mend_labels(client: QdrantClient, space: Space) -> None:
    """A worker may have had a label in memory while an admin changed it: give such items the label their topic has."""
    edited = store.where(store.equals(Key.LABEL_BY, "admin"))
    for page in store.scroll(client, space.topics, edited, [Key.TOPIC_ID, Key.LABEL]):
        for payload in (record.payload or {} for record in page):
            mine, label = store.equals(Key.TOPIC_IDS, payload[Key.TOPIC_ID]), payload[Key.LABEL]
            other = models.Filter(must=[mine], must_not=[store.equals(Key.TOPICS, label)])
            with translated():
                client.set_payload(space.items, {Key.TOPICS: [label]}, points=other, wait=True)


def lately_edited(client: QdrantClient, space: Space) -> bool:
    """Whether a worker may still have a label in memory that was changed."""
    with translated():
        stamp = (client.get_collection(space.items).config.metadata or {}).get(TOPICS_EDITED) or {}
    return str(stamp.get("at") or "") > iso(datetime.now(UTC) - timedelta(seconds=LEASE))
