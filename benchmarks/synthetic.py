"""A synthetic space of any size whose figures resemble real catalogues, written as the workers write theirs; no encoder.

Words follow Zipf's law over a vocabulary that grows with the catalogue (Heaps' law), 10 to 60 of them per document, half
from the topic of the document. Dense vectors lie in a few hundred clusters. Users take items of a few favourite clusters, the
popular ones first, in sessions: a hundred events about sixty items each. The collab leg and the users' vectors come from
these events by the workers' own functions. Several tenants share the space.

    catalogue = Catalogue(10_000)
    fill(SpaceStore(client, Space("scale")), catalogue)  # benchmarks/synthetic_fill.py
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import product
from typing import Any, cast

import numpy as np
from qdrant_client import models

from llmrec_qdrant import Item, SpaceConfig
from llmrec_qdrant.contracts.answers import MIN_TOPIC_ITEMS
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.clock import iso, now
from llmrec_qdrant.operations.items import item_source
from llmrec_qdrant.operations.texts import text_payload
from llmrec_qdrant.space.ids import digest, point_id, sparse_index
from llmrec_qdrant.space.layout import COLLAB, DENSE, TFIDF, Key, Space, new_item, new_user
from llmrec_qdrant.space.points import Point, new_point
from llmrec_qdrant.testing import HASH_MODEL
from workers.behaviour.cooccurrence import Interactions, cooccurrence, sparse_rows
from workers.behaviour.event_weights import event_weight
from workers.behaviour.vectors import normalised
from workers.items.assign import SpaceTopics
from workers.items.topic_rule import TopicPoint, mark
from workers.text.idf import Vocabulary
from workers.topics.fit import Fitted, how_many
from workers.users.derive import Sources, derive
from workers.users.library import Library

__all__ = ["CONFIG", "FIT", "TENANTS", "Catalogue"]

CONFIG = SpaceConfig(model=HASH_MODEL, fields={"year": "integer", "price": "float", "genre": "keyword"})
TENANTS = {"": 0.7, "north": 0.15, "east": 0.1, "south": 0.05}
"""Tenant → share of the items and of the users."""
GENRES = [f"genre{number}" for number in range(20)]
EVENTS, SEEN = 100, 60
"""Events of a user, and the distinct items that they are about."""
SESSION = 8
"""Events of a session, which stays within one cluster."""
QUERIES = 200
"""Search texts that are stored as if a worker had encoded them."""
FIT = "synthetic"
"""Name of the fit of topics."""
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
TYPES = ["view", "view", "view", "view", "like", "purchase", "rating"]


def zipf(size: int, exponent: float, shift: float = 0.0) -> np.ndarray:
    """Cumulative probabilities of ``size`` ranks, with p(rank) ∝ (rank + shift)^-exponent."""
    weights = (np.arange(1, size + 1) + shift) ** -exponent
    cumulated: np.ndarray = np.cumsum(weights / weights.sum())
    return cumulated


def draw(chance: np.random.Generator, cumulated: np.ndarray, number: int) -> np.ndarray:
    """Draw indices from cumulative probabilities."""
    drawn: np.ndarray = np.minimum(np.searchsorted(cumulated, chance.random(number)), len(cumulated) - 1)
    return drawn


def word(number: int) -> str:
    """A pronounceable word that the stemmer leaves alone.

    >>> word(0), word(1), word(12345)
    ('babap', 'babak', 'bipovak')
    """
    syllables = ""
    number, last = divmod(number, 2)
    for _ in range(2 if number < 3_600 else 3):
        number, syllable = divmod(number, 60)
        syllables = "bcdfghklmnprtvz"[syllable // 4] + "aiou"[syllable % 4] + syllables
    return (syllables + ("k" if last else "p"))[:12]


class Catalogue:
    """Everything about a space of ``items`` items but its points; equal arguments give equal figures."""

    def __init__(self, items: int, users: int | None = None, seed: int = 1) -> None:
        self.items = items
        self.users = users or max(200, items // 20)
        self.chance = np.random.default_rng(seed)
        self.at = now()
        self.encoded = {
            Key.STALE: False, Key.ATTEMPTS: 0, Key.MODEL: CONFIG.encoder_id, Key.LEGS: [DENSE, TFIDF],
            Key.EMBEDDED_AT: self.at, Key.LEASE: self.at,
        }  # fmt: skip
        """The bookkeeping of a point that a worker has encoded."""
        names, shares = list(TENANTS), np.array(list(TENANTS.values()))
        self.owners = [names[number] for number in draw(self.chance, np.cumsum(shares), items)]
        self.clusters = min(max(items // 20, 4), 300)
        self.cluster = draw(self.chance, zipf(self.clusters, 0.5), items)
        self._make_vectors()
        self._make_documents()
        self.popularity_rank = self.chance.permutation(items)
        self.user_owners = [names[number] for number in draw(self.chance, np.cumsum(shares), self.users)]
        self._make_events()
        self._make_queries()

    # --- items --------------------------------------------------------------------------------

    def _make_vectors(self) -> None:
        """Directions lie along few of the dimensions rather than along all of them, as those of encoders do."""
        spectrum = (1 + np.arange(CONFIG.size)) ** -0.4
        centres = normalised(self.chance.standard_normal((self.clusters, CONFIG.size)) * spectrum)
        noise = normalised(self.chance.standard_normal((self.items, CONFIG.size), dtype=np.float32) * spectrum)
        self.centres = centres
        self.dense = normalised(centres[self.cluster] + noise)

    def _make_documents(self) -> None:
        lengths = np.clip(self.chance.lognormal(3.3, 0.5, self.items), 10, 60).astype(int)
        vocabulary = int(20 * (self.items * 30) ** 0.55)
        general = zipf(vocabulary, 1.07, 10)
        own = min(400, vocabulary)
        topical = self.chance.integers(0, vocabulary, (self.clusters, own))
        self.documents: list[np.ndarray] = []
        total = int(lengths.sum())
        any_word, topic_word = draw(self.chance, general, total), draw(self.chance, zipf(own, 0.9, 5), total)
        from_topic = self.chance.random(total) < 0.5
        owner = np.repeat(self.cluster, lengths)
        words = np.where(from_topic, topical[owner, topic_word], any_word)
        self.documents = np.split(words, np.cumsum(lengths)[:-1])
        self.words = [f"{word(number)}" for number in range(vocabulary)]
        self.topical = topical

    def item(self, number: int) -> Item:
        """An item as an application would load it."""
        words = [self.words[index] for index in self.documents[number]]
        payload = {
            "year": 1980 + number % 47,
            "price": round(1 + (number * 7919 % 10_000) / 100, 2),
            "genre": GENRES[int(self.cluster[number]) % len(GENRES)],
        }
        name = f"i{number:07d}"
        return Item(
            id=name, title=" ".join(words[:3]), text=" ".join(words[3:]), payload=payload,
            tenant=self.owners[number] or None,
        )  # fmt: skip

    def bag(self, words: Iterable[int]) -> tuple[models.SparseVector, list[str]]:
        """The tfidf vector of some words, and the most frequent of them."""
        counts = Counter(self.words[index] for index in words)
        raw = {word: 1.0 + math.log(count) for word, count in counts.items()}
        norm = math.hypot(*raw.values())
        vector = models.SparseVector.model_construct(
            indices=[sparse_index(word) for word in raw], values=[value / norm for value in raw.values()]
        )
        return vector, [word for word, _ in counts.most_common(24)]

    def read_item(self, number: int) -> Point:
        """An item as the workers read it to fold it into a user."""
        known = self._read_items.get(number)
        if known is None:
            words, terms = self.bag(self.documents[number])
            shown = {Key.TITLE: " ".join(terms[:3]), Key.TERMS: terms, Key.LEGS: [DENSE, TFIDF]}
            topic = self.topic_of(number)
            vectors = {DENSE: self.dense[number], TFIDF: words}
            known = Point("", shown | {Key.TOPIC_IDS: [topic.id] if topic else []}, vectors)
            self._read_items[number] = known
        return known

    @cached_property
    def _read_items(self) -> dict[int, Point]:
        return {}

    def item_points(self) -> Iterator[models.PointStruct]:
        """Every item with its three legs."""
        taken = self.interactions
        rows = sparse_rows(cooccurrence(taken, CONFIG.collab_distance), taken.names)
        for (number, followed), popularity in zip(rows, taken.popularity.tolist(), strict=True):
            source = item_source(self.item(number), {})
            words, terms = self.bag(self.documents[number])
            vectors: dict[str, Any] = {DENSE: self.dense[number].tolist(), TFIDF: words}
            if followed.indices:
                vectors[COLLAB] = followed
            derived = {
                Key.TERMS: terms, Key.POPULARITY: float(popularity),
                **mark(self.topic_of(number), FIT), **self.encoded,
            }  # fmt: skip
            owner = self.owners[number] or None
            yield new_point(point_id("item", source[Key.ITEM_ID], owner), new_item(source) | derived, vectors)

    # --- topics -------------------------------------------------------------------------------

    @cached_property
    def topics(self) -> dict[str, list[Fitted]]:
        """Tenant → its topics: each covers every n-th cluster."""
        topics: dict[str, list[Fitted]] = {}
        last = 0
        for tenant in TENANTS:
            mine = np.array([number for number, owner in enumerate(self.owners) if owner == tenant], dtype=int)
            number = min(how_many(len(mine)), self.clusters) if len(mine) >= MIN_TOPIC_ITEMS else 0
            covered = [self._topic(tenant, last + 1 + k, k, number, mine) for k in range(number)]
            topics[tenant], last = covered, last + number
        return topics

    def _topic(self, tenant: str, name: int, place: int, number: int, items: np.ndarray) -> Fitted:
        clusters = np.arange(place, self.clusters, number)
        words = [self.words[index] for index in dict.fromkeys(self.topical[clusters, :40].ravel().tolist())]
        members = items[np.isin(self.cluster[items], clusters)]
        point = TopicPoint(
            id=str(name), tenant=tenant, label=f"{words[0]} {words[1]}", keywords=tuple(words[:8]),
            dense=normalised(self.centres[clusters].sum(axis=0)), cut=(0.0, 0.0), fit=FIT, size=len(members),
            words={sparse_index(word): 1.0 for word in words},
        )  # fmt: skip
        return Fitted(
            point, len(members), [" ".join(self.words[w] for w in self.documents[i][:3]) for i in members[:3]]
        )

    def topic_of(self, number: int) -> TopicPoint | None:
        """The topic of an item."""
        topics = self.topics[self.owners[number]]
        return topics[int(self.cluster[number]) % len(topics)].topic if topics else None

    # --- events and users ---------------------------------------------------------------------

    def _make_events(self) -> None:
        """Arrays (users, events): item and time, oldest first."""
        places: dict[tuple[str, int], list[int]] = {}
        for number in np.argsort(self.popularity_rank).tolist():  # the most popular first
            for cluster in (int(self.cluster[number]), -1):
                places.setdefault((self.owners[number], cluster), []).append(number)
        self._favourites = zipf(self.clusters, 0.5)
        self.taken = np.stack([self._history(owner, places) for owner in self.user_owners])
        gaps = self.chance.integers(30, 600, self.taken.shape)
        gaps[:, ::SESSION] += self.chance.integers(20_000, 500_000, gaps[:, ::SESSION].shape)
        self.seconds = np.cumsum(gaps, axis=1)
        self.kinds = self.chance.integers(0, len(TYPES), self.taken.shape)
        self.values = self.chance.choice(5, self.taken.shape, p=[0.05, 0.1, 0.2, 0.35, 0.3]) + 1

    def _history(self, owner: str, places: dict[tuple[str, int], list[int]]) -> np.ndarray:
        everything = places[owner, -1]
        favourites = draw(self.chance, self._favourites, 5)
        chosen: dict[int, None] = {}
        for attempt in range(60):
            liked = int(favourites[draw(self.chance, zipf(5, 1.0), 1)[0]])
            pool = places.get((owner, liked), everything) if attempt < 30 else everything
            picks = draw(self.chance, zipf(len(pool), 0.8), SESSION)
            chosen |= dict.fromkeys(pool[place] for place in picks)
            if len(chosen) >= SEEN:
                break
        distinct = np.array(list(chosen)[:SEEN])
        again = self.chance.integers(0, len(distinct), EVENTS - len(distinct))
        order = np.sort(np.concatenate([np.arange(len(distinct)), again]))
        taken: np.ndarray = distinct[order]
        return taken

    @cached_property
    def interactions(self) -> Interactions:
        """The events that count for the collab leg."""
        users, items = np.repeat(np.arange(self.users), EVENTS), self.taken.ravel()
        liked = [self._weight(user, place) > 0 for user in range(self.users) for place in range(EVENTS)]
        kept = np.array(liked)
        names = [(owner, f"i{number:07d}") for number, owner in enumerate(self.owners)]
        return Interactions(users[kept], items[kept], names, n_events=users.size)

    def _weight(self, user: int, place: int) -> float:
        kind = TYPES[self.kinds[user, place]]
        return event_weight(kind, float(self.values[user, place]) if kind == "rating" else None, CONFIG)

    def events_of(self, user: int) -> list[Point]:
        """The events of a user as they are stored, newest first."""
        owner, name = self.user_owners[user], f"u{user:06d}"
        points = []
        for place in reversed(range(EVENTS)):
            kind = TYPES[self.kinds[user, place]]
            values = {
                Key.USER_ID: name,
                Key.TYPE: kind,
                Key.ITEM_ID: f"i{self.taken[user, place]:07d}",
                **({Key.VALUE: float(self.values[user, place])} if kind == "rating" else {}),
                Key.TS: iso(BEGIN + timedelta(seconds=int(self.seconds[user, place]))),
                Key.EVENT_ID: f"{name}-{place}",
                Key.TENANT: owner,
            }
            source = digest(*(f"{key}={value}" for key, value in values.items()))
            point = point_id("event", values[Key.EVENT_ID], owner or None)
            points.append(Point(point, values | {Key.FOLDED: True, Key.SRC_HASH: source}))
        return points

    def user_points(self) -> Iterator[tuple[models.PointStruct, list[models.PointStruct]]]:
        """Every user, folded by the workers' own function, with the events."""
        by_tenant = {tenant: [fitted.topic for fitted in topics] for tenant, topics in self.topics.items()}
        topics = SpaceTopics(lambda tenant: by_tenant[tenant], FIT, FIT)
        counts = Counter(word for number in range(self.items) for word in set(self.documents[number].tolist()))
        vocabulary = Vocabulary(self.items, {self.words[index]: count for index, count in counts.items()})
        sources = Sources(CONFIG, cast(Library, _Shelf(self)), vocabulary, topics)
        for user in range(self.users):
            events, owner, name = self.events_of(user), self.user_owners[user], f"u{user:06d}"
            first = new_user(name, owner, f"{user:032x}")
            derived = derive(Point("", first), events, len(events), sources)
            point = new_point(
                point_id("user", name, owner or None), first | derived.payload | {Key.LEASE: self.at}, derived.vectors
            )
            yield point, [new_point(event.id, event.payload) for event in events]

    # --- search texts -------------------------------------------------------------------------

    def _make_queries(self) -> None:
        """Search texts: three words of a cluster each."""
        clusters = self.chance.permutation(self.clusters)[:QUERIES].tolist()
        self.queries = {
            " ".join(self.words[index] for index in self.topical[cluster, :3]): cluster for cluster in clusters
        }

    def query_points(self) -> Iterator[models.PointStruct]:
        """The search texts of every tenant, encoded."""
        index = {name: number for number, name in enumerate(self.words)}
        for tenant, (text, cluster) in product(TENANTS, self.queries.items()):
            bound = Bound(Space("synthetic"), CONFIG, tenant or None)
            words, terms = self.bag(index[name] for name in text.split())
            point = bound.query_point(text)
            derived = {Key.TERMS: terms, **self.encoded}
            payload = text_payload(bound, "", point, text) | derived | {Key.SEARCHED_AT: now()}
            yield new_point(point, payload, {DENSE: self.centres[cluster].tolist(), TFIDF: words})


class _Shelf:
    """Stands in for :class:`workers.users.library.Library`: items from memory."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def item(self, event: Point) -> Point:
        return self._catalogue.read_item(int(event.payload[Key.ITEM_ID][1:]))

    def title(self, event: Point) -> str:
        return str(self.item(event).payload[Key.TITLE])

    def text(self, event: Point) -> None:
        return None
