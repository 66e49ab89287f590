"""What Qdrant must hold after faults: an oracle of the acknowledged writes, and a checker that compares every point with it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from llmrec_qdrant.contracts.answers import SpaceStatus
from llmrec_qdrant.errors import QdrantUnavailable
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import flat
from llmrec_qdrant.testing import HashEncoder

WORDS = [
    "space",
    "war",
    "garden",
    "love",
    "robot",
    "river",
    "cooking",
    "mountain",
    "detective",
    "piano",
    "科幻",
    "爱情",
    "美食",
    "历史",
]


@dataclass
class Oracle:
    """The expected state, derived from the acknowledged writes."""

    items: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    events: dict[str, dict[str, Event]] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    edited: set[str] = field(default_factory=set)
    """Items written more than once or deleted: users keep what they saw of them until their next event."""
    steered: dict[str, dict[str, float]] = field(default_factory=dict)
    """User → topic → weight."""
    writes: int = 0


class Counts(dict[str, int]):
    """Number of faults of each kind."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(("missing", "extra", "wrong", "resurrected"), 0))

    def note(self, kind: str, what: str) -> str:
        """Count a fault; returns it in words."""
        self[kind] += 1
        return f"{kind}: {what}"

    def add(self, others: Counts) -> None:
        """Add the faults of another check."""
        for kind, count in others.items():
            self[kind] += count

    def __str__(self) -> str:
        return " ".join(f"{kind}={count}" for kind, count in self.items())


class Writer:
    """Repeats each write until it is acknowledged, one after the other, and records it in the oracle."""

    def __init__(self, rec: Any, count: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.rec = rec
        self.oracle = Oracle()
        self.count = count

    def until(self, write: Callable[[], Any]) -> Any:
        """Repeat a write until it is acknowledged."""
        while True:
            try:
                answer = write()
                self.oracle.writes += 1
                return answer
            except QdrantUnavailable:
                time.sleep(0.2)

    def _text(self, name: str) -> str:
        return f"{' '.join(self.random.sample(WORDS, 4))} {name} {self.random.randrange(10**6)}"

    def upsert(self, names: list[str]) -> None:
        """Write new texts for these items."""
        texts = {name: self._text(name) for name in names}
        self.until(lambda: self.rec.upsert_items([Item(id=name, title=text) for name, text in texts.items()]))
        self.oracle.edited |= self.oracle.items.keys() & texts.keys()
        self.oracle.items |= texts
        self.oracle.deleted -= set(names)

    def delete(self) -> None:
        """Delete two items."""
        names = self.random.sample(sorted(self.oracle.items), min(2, len(self.oracle.items)))
        self.until(lambda: self.rec.delete_items(names))
        for name in names:
            del self.oracle.items[name]
        self.oracle.deleted |= set(names)
        self.oracle.edited |= set(names)

    def track(self) -> None:
        """Store three views and a search of a user."""
        user = f"u{self.random.randrange(max(self.count // 40, 5))}"
        known = sorted(self.oracle.items)
        ts = 1_700_000_000 + self.oracle.writes
        events = [Event(user=user, type="view", item=self.random.choice(known), ts=ts + k / 10) for k in range(3)]
        events.append(Event(user=user, type="search", text=self._text(user), ts=ts + 0.5))
        self.until(lambda: self.rec.track(events))
        self.oracle.events.setdefault(user, {}).update({event.event_id: event for event in events})
        self.oracle.forgotten.discard(user)

    def forget(self) -> None:
        """Forget a user."""
        if self.oracle.events:
            user = self.random.choice(sorted(self.oracle.events))
            self.until(lambda: self.rec.forget_user(user))
            del self.oracle.events[user]
            self.oracle.steered.pop(user, None)
            self.oracle.forgotten.add(user)


def settled(status: SpaceStatus) -> bool:
    """Whether no work is pending."""
    return not (status.items_stale or status.users_stale or status.texts_stale or status.events_unfolded)


def check(rec: Recommender, oracle: Oracle, size: int) -> tuple[Counts, list[str]]:
    """Every point of the live version against the oracle; counts, and the first differences in words."""
    counts, notes = Counts(), []

    def note(kind: str, what: str) -> None:
        notes.append(counts.note(kind, what))

    encoder = HashEncoder(size)
    found = {point.payload[Key.ITEM_ID]: point for point in everything(rec, rec._space.items, ["dense"])}
    for name in found.keys() - oracle.items.keys():
        note("resurrected" if name in oracle.deleted else "extra", f"item {name}")
    for name, text in oracle.items.items():
        point = found.get(name)
        if point is None:
            note("missing", f"item {name}")
            continue
        vector = (
            np.array(point.vector.get("dense") or np.zeros(size)) if isinstance(point.vector, dict) else np.zeros(size)
        )
        expected = encoder.encode([text])[0]
        if point.payload[Key.TITLE] != text or flat(point.payload)[Key.STALE] or np.abs(vector - expected).max() > 1e-4:
            note("wrong", f"item {name}: {point.payload} wanted {text!r}")
    points = everything(rec, rec._space.users, ["dense"])
    users = {point.payload[Key.USER_ID]: flat(point.payload) for point in points}
    vectors = {
        point.payload[Key.USER_ID]: point.vector.get("dense") for point in points if isinstance(point.vector, dict)
    }
    compared = 0
    for name in users.keys() - oracle.events.keys():
        note("resurrected" if name in oracle.forgotten else "extra", f"user {name}")
    for name, events in oracle.events.items():
        payload = users.get(name)
        seen = [e.item for e in sorted(events.values(), key=lambda e: e.ts, reverse=True) if e.item]
        if payload is None:
            note("missing", f"user {name}")
        elif name in oracle.steered and payload[Key.STEER] != oracle.steered[name]:
            note("wrong", f"weights of {name}: {payload[Key.STEER]} instead of {oracle.steered[name]}")
        elif (
            payload[Key.STALE] or payload[Key.N_EVENTS] != len(events) or payload[Key.SEEN] != list(dict.fromkeys(seen))
        ):
            note("wrong", f"user {name}: {payload[Key.N_EVENTS]} events of {len(events)}, stale {payload[Key.STALE]}")
        elif not oracle.edited.intersection(seen):
            compared += 1
            wanted_vector = user_vector(list(events.values()), oracle, encoder, rec.config)
            if np.abs(np.array(vectors.get(name) or np.zeros(size)) - wanted_vector).max() > 1e-4:
                note(
                    "wrong", f"vector of user {name}, events {[event.item or event.text for event in events.values()]}"
                )
    stored = {point.payload[Key.EVENT_ID] for point in everything(rec, rec._space.events, False)}
    wanted = {event for events in oracle.events.values() for event in events}
    for name in wanted - stored:
        note("missing", f"event {name}")
    for name in stored - wanted:
        note("resurrected", f"event {name}")
    owners = [point.payload[Key.USER_ID] for point in everything(rec, rec._space.texts, False)]
    texts = sum(1 for events in oracle.events.values() for event in events.values() if event.text)
    if len([owner for owner in owners if owner]) != texts:
        note("missing" if len(owners) < texts else "extra", f"texts: {len(owners)} of {texts}")
    print(f"compared {len(found)} items, {len(users)} users ({compared} with their vectors), {len(stored)} events")
    return counts, notes


def user_vector(events: list[Event], oracle: Oracle, encoder: HashEncoder, config: SpaceConfig) -> np.ndarray:
    """What a user's dense vector is by its definition: a sum over events, newest first, weighted by type and recency."""
    newest = sorted(events, key=lambda event: event.ts, reverse=True)
    rows = encoder.encode([event.text or oracle.items[str(event.item)] for event in newest])
    total = np.zeros(encoder.size)
    for step, (event, row) in enumerate(zip(newest, rows, strict=True)):
        days = (newest[0].ts - event.ts) / timedelta(days=1)
        weight = config.event_weights.get(event.type, 1.0)
        total += weight * config.position_decay**step * 0.5 ** (days / config.half_life_days) * row
    unit: np.ndarray = total / np.linalg.norm(total)
    return unit


def everything(rec: Recommender, collection: str, vectors: list[str] | bool) -> list[Any]:
    """All points of a collection."""
    points: list[Any] = []
    offset: Any = None
    while True:
        page, offset = rec.client.scroll(
            collection, limit=1_000, offset=offset, with_payload=True, with_vectors=vectors
        )
        points += page
        if offset is None:
            return points
