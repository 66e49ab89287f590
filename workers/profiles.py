"""A user's events → the user's three legs. The first half is pure; the second reads and writes Qdrant."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from qdrant_client import QdrantClient, models

from llmrec_qdrant.contracts import LEGS, SpaceConfig
from llmrec_qdrant.ids import point_id, sparse_index
from llmrec_qdrant.layout import COLLAB, DENSE, INTERESTS, TFIDF, Key, Space
from llmrec_qdrant.translate import translated
from llmrec_qdrant.writes import FRESH, batches, now, timestamp
from workers import collab, interests, store, topics
from workers.attempts import attempt
from workers.embed import embed
from workers.encoder import centred, normalised, user_tower
from workers.interests import Act
from workers.topics import SpaceTopics
from workers.vocabulary import Vocabulary
from workers.weights import decayed, event_weight, item_point

__all__ = ["Past", "Profile", "UserTower", "fold", "made_with", "pulls", "recency", "refresh"]

SEEN = 1_000
"""Most recent events of a user that are read: the limit of what a list can exclude as seen."""
TFIDF_WIDTH = 512
"""Entries kept in a user's tfidf vector."""
WORDS = 24
"""Readable words kept per user."""
AVERSION = 1.0
"""Most that dislikes may weigh together, as a share of all likes: else a user turns into the opposite of their dislikes."""


@dataclass(frozen=True)
class Past:
    """One event as the profile sees it."""

    ts: float
    """Unix seconds."""
    weight: float
    item: str | None = None
    dense: tuple[np.ndarray, ...] = ()
    """Unit vectors: of the item, of the text, of both."""
    tfidf: tuple[Mapping[int, float], ...] = ()
    words: tuple[str, ...] = ()


class UserTower(Protocol):
    """Makes a user's dense vector in its own way: see workers/towers.py."""

    def user(self, past: Sequence[Past], config: SpaceConfig) -> list[float] | None:
        """From events, newest first; None if they say nothing."""


@dataclass(frozen=True)
class Profile:
    """A user's legs; a leg without anything in it is None."""

    dense: list[float] | None = None
    tfidf: models.SparseVector | None = None
    collab: models.SparseVector | None = None
    terms: list[str] = field(default_factory=list)

    @property
    def vectors(self) -> dict[str, Any]:
        """The named vectors that exist."""
        named: dict[str, Any] = {DENSE: self.dense, TFIDF: self.tfidf, COLLAB: self.collab}
        return {leg: named[leg] for leg in LEGS if named[leg] is not None}


def recency(moments: Sequence[float], config: SpaceConfig, decay: float | None = None) -> np.ndarray:
    """Weights of events, newest first, by the half-life of the space; ``decay`` is ``position_decay`` if not given."""
    return decayed(moments, config.half_life_days, config.position_decay if decay is None else decay)


def fold(
    past: Sequence[Past], config: SpaceConfig, vocabulary: Vocabulary | None = None, tower: UserTower | None = None
) -> Profile:
    """The legs of a user from events, newest first.

    dense: Σ w·v, scaled to norm 1; or what a trained user ``tower`` makes of the events. tfidf: Σ w·tf, the strongest entries, scaled to norm 1. collab:
    item → Σ w, with a decay of its own, scaled to norm 1. A sum of nothing, or one that cancels out, gives no leg.
    """
    recent = list(past[: config.history])
    moments, said = [one.ts for one in recent], np.array([one.weight for one in recent])
    pairs = list(zip(recent, pulls(moments, said, config, config.position_decay).tolist(), strict=True))
    steps = list(zip(recent, pulls(moments, said, config, config.collab_decay).tolist(), strict=True))
    return Profile(
        dense=tower.user(recent, config) if tower else _fold_dense(pairs, config),
        tfidf=_as_sparse(_summed((bag, w) for one, w in pairs for bag in one.tfidf), TFIDF_WIDTH),
        collab=_as_sparse(
            _summed(({sparse_index_of(one.item): 1.0}, w) for one, w in steps if one.item is not None), config.history
        ),
        terms=_strongest(pairs, vocabulary or Vocabulary()),
    )


def pulls(moments: Sequence[float], said: np.ndarray, config: SpaceConfig, decay: float) -> np.ndarray:
    """What each event adds, newest first: what it ``said``, less by its age; dislikes bounded."""
    return _bounded(recency(moments, config, decay) * said)


def _bounded(weights: np.ndarray) -> np.ndarray:
    """The weights, negative ones scaled down where they outweigh ``AVERSION`` of the positive ones.

    >>> _bounded(np.array([2.0, -1.0, -3.0])).tolist()
    [2.0, -0.5, -1.5]
    >>> _bounded(np.array([-1.0])).tolist()
    [-1.0]
    """
    likes, dislikes = float(weights[weights > 0].sum()), float(-weights[weights < 0].sum())
    if not likes or dislikes <= AVERSION * likes:
        return weights
    return np.where(weights < 0, weights * (AVERSION * likes / dislikes), weights)


def sparse_index_of(qualified: str) -> int:
    """Sparse index of ``tenant<US>item``; see :func:`qualified_item`."""
    tenant, _, item = qualified.partition("\x1f")
    return sparse_index(item, tenant or None)


def qualified_item(item: str, tenant: str) -> str:
    """An item id together with its tenant."""
    return f"{tenant}\x1f{item}"


def _fold_dense(pairs: Iterable[tuple[Past, float]], config: SpaceConfig) -> list[float] | None:
    total = np.zeros(config.size, dtype=np.float64)
    for one, weight in pairs:
        for vector in one.dense:
            total += weight * vector
    if config.similarity == "pearson":
        total = centred(total)
    if np.linalg.norm(total) < 1e-9:
        return None
    return [float(x) for x in normalised(total)]


def _summed(bags: Iterable[tuple[Mapping[int, float], float]]) -> dict[int, float]:
    total: dict[int, float] = {}
    for bag, weight in bags:
        for index, value in bag.items():
            total[index] = total.get(index, 0.0) + weight * value
    return total


def _as_sparse(total: Mapping[int, float], width: int) -> models.SparseVector | None:
    kept = sorted(total.items(), key=lambda pair: (-abs(pair[1]), pair[0]))[:width]
    norm = float(np.linalg.norm([value for _, value in kept])) if kept else 0.0
    if norm < 1e-9:
        return None
    return models.SparseVector(indices=[index for index, _ in kept], values=[value / norm for _, value in kept])


def _strongest(pairs: Iterable[tuple[Past, float]], vocabulary: Vocabulary) -> list[str]:
    """Words of an interest: the square root of the weights, so that the last event alone does not fill the list."""
    total: dict[str, float] = {}
    for one, weight in pairs:
        for word in one.words:
            total[word] = (
                total.get(word, 0.0)
                + math.copysign(abs(weight) ** 0.5, weight) * vocabulary.idf(word) / max(len(one.words), 1) ** 0.5
            )
    ranked = sorted((word for word, weight in total.items() if weight > 0), key=lambda word: (-total[word], word))
    return ranked[:WORDS]


# --- reading and writing --------------------------------------------------------------------------


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
    known = topics.load(client, space)
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
            space.users, {**FRESH, Key.REVISION: uuid.uuid4().hex}, points=store.where(store.has_id(str(user.id)))
        )
    return True


def _events(client: QdrantClient, space: Space, user: Mapping[str, Any]) -> list[models.Record]:
    mine = store.where(*_mine(user))
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
    guard = store.where(store.has_id(str(user.id)), store.equals(Key.REVISION, payload.get(Key.REVISION)))
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
        collab.mark_due(client, space, config, events)
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
        store.where(store.has_id(*batch))
        for batch in batches([str(event.id) for event in events if not (event.payload or {}).get(Key.FOLDED)], 500)
    ]
    if len(events) == SEEN:
        older = models.DatetimeRange(lte=(events[-1].payload or {})[Key.TS])
        done.append(
            store.where(*_mine(user), models.FieldCondition(key=Key.TS, range=older), store.equals(Key.FOLDED, False))
        )
    for condition in done:
        with translated():
            client.set_payload(space.events, {Key.FOLDED: True}, points=condition, wait=True)


def _mine(user: Mapping[str, Any]) -> list[models.FieldCondition]:
    """Conditions on the events of one user."""
    return [store.equals(Key.USER_ID, user[Key.USER_ID]), store.equals(Key.TENANT, user.get(Key.TENANT) or "")]


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
    return store.count(client, space.events, store.where(*_mine(user)))
