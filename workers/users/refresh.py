"""A user's events → the user's three legs. The first half is pure; the second reads and writes Qdrant."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.operations.clock import now, timestamp
from llmrec_qdrant.operations.translate import translated
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import DENSE, FRESH, INTERESTS, TFIDF, Key, Space

from ..behaviour.event_weights import event_weight, item_point
from ..behaviour.fold import Past, UserTower, fold, qualified_item
from ..encoding.loading import user_tower
from ..items import assign
from ..items import collab as items_collab
from ..items.assign import SpaceTopics
from ..items.embed import embed
from ..storage import store
from ..storage.lease import attempt
from ..text.idf import Vocabulary
from . import interests
from .interests import Act

__all__ = ["made_with", "refresh"]


SEEN = 1_000
"""Most recent events of a user that are read: the limit of what a list can exclude as seen."""


def refresh(client: QdrantClient, space: Space, config: SpaceConfig, ids: Sequence[str]) -> list[str]:
    """Fold the events of these users into their vectors; returns the ids to be tried again.

    Free texts that have no vector yet are encoded on the way. The revision is read before the events and
    guards the write: if an event arrives in between, this write is dropped, and the refresh that the event
    asked for does the work.
    """
    with translated():
        users = client.retrieve(space.users, list(ids), with_payload=True)
    todo = [user for user in users if (user.payload or {}).get(Key.STALE)]
    if not todo:
        return []
    library = _Library(client, space, config)
    known = assign.load(client, space)
    vocabulary = Vocabulary.of(client, space)

    late: list[str] = []

    def work(group: list[models.Record]) -> None:
        for user in group:
            events = _events(client, space, user.payload or {})
            library.load(events)
            waiting = _write(client, space, config, user, events, library, vocabulary, known)
            if waiting and _arrived(client, space, user, waiting):
                late.append(str(user.id))

    return attempt(client, space.users, todo, Key.REVISION, work) + late


def _arrived(client: QdrantClient, space: Space, user: models.Record, waiting: Sequence[str]) -> bool:
    """Whether an item got its vectors after it was read and before anybody could know who waits for it."""
    tenant = (user.payload or {}).get(Key.TENANT) or None
    points = [point_id("item", item, tenant) for item in waiting]
    with translated():
        found = client.retrieve(space.items, points, with_payload=[Key.LEGS])
    if not any((record.payload or {}).get(Key.LEGS) for record in found):
        return False
    with translated():
        client.set_payload(
            space.users,
            {**FRESH, Key.REVISION: uuid.uuid4().hex},
            points=conditions.where(conditions.has_id(str(user.id))),
        )
    return True


def _events(client: QdrantClient, space: Space, user: Mapping[str, Any]) -> list[models.Record]:
    mine = conditions.where(*_mine(user))
    newest = models.OrderBy(key=Key.TS, direction=models.Direction.DESC)
    with translated():
        found, _ = client.scroll(space.events, scroll_filter=mine, order_by=newest, limit=SEEN, with_payload=True)
    return sorted(found, key=lambda record: (_moment(record), str(record.id)), reverse=True)


def _moment(event: models.Record) -> float:
    return timestamp((event.payload or {})[Key.TS])


class _Library:
    """Vectors of the items and texts that the events of a message are about, each read once."""

    def __init__(self, client: QdrantClient, space: Space, config: SpaceConfig) -> None:
        self._client, self._space, self._config = client, space, config
        self._items: dict[str, models.Record | None] = {}
        self._texts: dict[str, models.Record] = {}
        self.tower: UserTower | None = user_tower(config)

    def load(self, events: Sequence[models.Record]) -> None:
        """Read what these events need."""
        used = events[: self._config.history]
        items = {item_point(event): None for event in used if (event.payload or {}).get(Key.ITEM_ID)}
        self._read(self._space.items, [point for point in items if point not in self._items], self._items)
        texts = [str(event.id) for event in used if (event.payload or {}).get(Key.TEXT)]
        if texts:
            embed(self._client, self._space.texts, self._config, texts)
        self._read(self._space.texts, texts, self._texts)

    def _read(self, collection: str, ids: Sequence[str], into: dict[str, Any]) -> None:
        for batch in batches(ids, 256):
            with translated():
                found = self._client.retrieve(
                    collection, batch, with_payload=[Key.TERMS, Key.LEGS, Key.TOPIC_IDS], with_vectors=[DENSE, TFIDF]
                )
            into.update({str(record.id): record for record in found})

    def item(self, event: models.Record) -> models.Record | None:
        """The item of an event, if it has vectors (or has been through the encoder without text)."""
        record = self._items.get(item_point(event))
        return record

    def text(self, event: models.Record) -> models.Record | None:
        """The text of an event."""
        return self._texts.get(str(event.id))


def _past(event: models.Record, library: _Library, config: SpaceConfig) -> Past:
    payload = event.payload or {}
    item = payload.get(Key.ITEM_ID)
    about = [record for record in (library.item(event) if item else None, library.text(event)) if record is not None]
    return Past(
        ts=_moment(event),
        weight=event_weight(payload[Key.TYPE], payload.get(Key.VALUE), config),
        item=qualified_item(item, payload.get(Key.TENANT) or "") if item else None,
        dense=tuple(np.asarray(vector, dtype=np.float64) for record in about if (vector := _vector(record, DENSE)) is not None),
        tfidf=tuple(
            dict(zip(vector.indices, vector.values, strict=True))
            for record in about if (vector := _vector(record, TFIDF)) is not None
        ),
        words=tuple(word for record in about for word in (record.payload or {}).get(Key.TERMS) or []),
    )  # fmt: skip


def _vector(record: models.Record, leg: str) -> Any:
    return record.vector.get(leg) if isinstance(record.vector, dict) else None


def _write(
    client: QdrantClient, space: Space, config: SpaceConfig, user: models.Record,
    events: Sequence[models.Record], library: _Library, vocabulary: Vocabulary, known: SpaceTopics,
) -> list[str]:  # fmt: skip
    """Write a user's legs; returns the items it waits for."""
    payload = user.payload or {}
    guard = conditions.where(
        conditions.has_id(str(user.id)), conditions.equals(Key.REVISION, payload.get(Key.REVISION))
    )
    steered = any(weight != 1 for weight in (payload.get(Key.STEER) or {}).values())
    if not events and not steered:  # everything it did was deleted
        with translated():
            client.delete(space.users, models.FilterSelector(filter=guard), wait=True)
        return []
    waiting = _waiting(events[: config.history], library)
    past = [_past(event, library, config) for event in events[: config.history]]
    profile = fold(past, config, vocabulary, library.tower)
    acts = _acts(events[: config.history], past, library, known)
    about = known.by_id(payload.get(Key.TENANT) or "")
    cares = interests.interests_of(acts, config, about)
    rows = interests.rows_of(cares, acts, config, about)
    vectors = profile.vectors | ({INTERESTS: rows} if rows else {})
    n_events = _n_events(client, space, payload, len(events))
    derived = {
        Key.STALE: False,
        Key.ATTEMPTS: 0,
        Key.LEGS: list(profile.vectors),
        Key.TERMS: profile.terms,
        Key.INTERESTS: [one.model_dump(mode="json", exclude={Key.STEER}) for one in cares],
        Key.SEEN: _seen(events),
        Key.LAST: _last_taken(events[: config.history], past, library),
        Key.WAITING: waiting,
        Key.N_EVENTS: n_events,
        Key.MODEL: config.encoder_id,
        Key.FOLDING: made_with(config, known.done),
        Key.UPDATED_AT: now(),
    }
    lost = [leg for leg in payload.get(Key.LEGS) or [] if leg not in profile.vectors]
    lost += [INTERESTS] if payload.get(Key.INTERESTS) and not rows else []
    if lost:
        with translated():
            client.delete_vectors(space.users, lost, models.FilterSelector(filter=guard))
    points = [models.PointVectors(id=user.id, vector=vectors)] if vectors else []
    store.write_existing(client, space.users, points, guard, [models.SetPayload(payload=derived, filter=guard)])
    if n_events != payload.get(Key.N_EVENTS) or not all((one.payload or {}).get(Key.FOLDED) for one in events):
        items_collab.mark_due(client, space, config, events)
    _mark_folded(client, space, payload, events)
    return waiting


def made_with(config: SpaceConfig, fit: str) -> str:
    """What a user's vectors and interests depend on beside the model: settings, and the fit of topics."""
    return f"{config.folding} {fit}".rstrip()


def _acts(events: Sequence[models.Record], past: Sequence[Past], library: _Library, known: SpaceTopics) -> list[Act]:
    """The events as interests see them; an item has its topic, a free text gets one."""
    if not known.fit:
        return []
    acts: list[Act] = []
    for event, one in zip(events, past, strict=True):
        payload = event.payload or {}
        item = library.item(event) if payload.get(Key.ITEM_ID) else None
        found = (item.payload or {}).get(Key.TOPIC_IDS) if item else None
        topic = found[0] if found else None
        words = library.text(event)
        if topic is None and words is not None:
            vectors = [_vector(words, DENSE)], [_vector(words, TFIDF)]
            best = known.of(payload.get(Key.TENANT) or "").assign(*vectors)[0]
            topic = best.id if best else None
        acts.append(Act(one.ts, one.weight, topic, payload.get(Key.ITEM_ID), payload.get(Key.SESSION), one.dense))
    return acts


def _mark_folded(client: QdrantClient, space: Space, user: Mapping[str, Any], events: Sequence[models.Record]) -> None:
    """Mark what was read, and what is no newer than the oldest of it, which is never read."""
    done = [
        conditions.where(conditions.has_id(*batch))
        for batch in batches([str(event.id) for event in events if not (event.payload or {}).get(Key.FOLDED)], 500)
    ]
    if len(events) == SEEN:
        older = models.DatetimeRange(lte=(events[-1].payload or {})[Key.TS])
        done.append(
            conditions.where(
                *_mine(user), models.FieldCondition(key=Key.TS, range=older), conditions.equals(Key.FOLDED, False)
            )
        )
    for condition in done:
        with translated():
            client.set_payload(space.events, {Key.FOLDED: True}, points=condition, wait=True)


def _mine(user: Mapping[str, Any]) -> list[models.FieldCondition]:
    """Conditions on the events of one user."""
    return [
        conditions.equals(Key.USER_ID, user[Key.USER_ID]),
        conditions.equals(Key.TENANT, user.get(Key.TENANT) or ""),
    ]


def _seen(events: Sequence[models.Record]) -> list[str]:
    return list(dict.fromkeys(item for event in events if (item := (event.payload or {}).get(Key.ITEM_ID))))


def _last_taken(events: Sequence[models.Record], past: Sequence[Past], library: _Library) -> str | None:
    """Of an item that is there: a list cannot hold another."""
    taken = (
        event for event, one in zip(events, past, strict=True) if one.item and one.weight > 0 and library.item(event)
    )
    return next(((event.payload or {})[Key.ITEM_ID] for event in taken), None)


def _waiting(events: Sequence[models.Record], library: _Library) -> list[str]:
    """Items that had no vectors: the user is refreshed when they get some."""
    missing: dict[str, None] = {}
    for event in events:
        item = (event.payload or {}).get(Key.ITEM_ID)
        record = library.item(event) if item else None
        if item and not ((record.payload or {}).get(Key.LEGS) if record else None):
            missing[item] = None
    return list(missing)


def _n_events(client: QdrantClient, space: Space, user: Mapping[str, Any], read: int) -> int:
    if read < SEEN:
        return read
    return store.count(client, space.events, conditions.where(*_mine(user)))
