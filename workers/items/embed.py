"""Encodes stale items and texts into dense and tfidf vectors; writes them only where the source is unchanged."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from qdrant_client import models

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import DENSE, TFIDF, Key
from llmrec_qdrant.space.points import BOOKKEEPING, Point

from ..encoding.encoder import Encoder
from ..encoding.loading import load_encoder
from ..storage import malformed
from ..storage.attempts import attempt
from ..storage.store import TEXTS_PER_READ, Store
from ..text import clean
from ..text import words as text_words
from ..text.boilerplate import Boilerplate
from ..text.weights import indexed, keywords
from .assign import SpaceTopics

__all__ = ["Embedded", "embed", "source_text", "sparse"]

log = logging.getLogger("llmrec.worker")

NO_BOILERPLATE = Boilerplate()
_SOURCE = (Key.TITLE, Key.TEXT)
"""Keys of what is encoded; read after the attempt is recorded, as a text may have a million characters."""
_CHECKED = (
    Key.ITEM_ID, Key.USER_ID, Key.TENANT, Key.TOPICS, Key.TOPIC_IDS, Key.TERMS, Key.POPULARITY, Key.LEGS, Key.ATTEMPTS,
)  # fmt: skip
_READ = (*(key for key in _CHECKED if not key.startswith(BOOKKEEPING)), BOOKKEEPING)
"""Keys that are read of all points of a message at once."""
POINTS_PER_GROUP = 64
"""Points that are encoded and written together; a message covers several such groups."""
ENCODING_THREADS = 2
"""Groups encoded at the same time: with two, no core idles at the end of a group."""


@dataclass(frozen=True)
class Embedded:
    """Outcome of encoding the points of a message."""

    done: list[Point] = field(default_factory=list)
    """The encoded points, as they were before."""
    again: list[str] = field(default_factory=list)
    """Ids of points to retry, each alone."""


@dataclass(frozen=True)
class _Encoded:
    """A point with the vectors and terms of its source."""

    point: Point
    dense: np.ndarray | None
    """None: the model cannot read the text."""
    words: models.SparseVector | None
    """None: the text has no words."""
    terms: list[str]

    @property
    def vectors(self) -> dict[str, Any]:
        """The named vectors that exist."""
        named: dict[str, Any] = {DENSE: None if self.dense is None else self.dense.tolist(), TFIDF: self.words}
        return {name: vector for name, vector in named.items() if vector is not None}


def source_text(payload: Mapping[str, Any], boilerplate: Boilerplate = NO_BOILERPLATE) -> str:
    """Return the cleaned text, title first, that is encoded for an item or text point."""
    title, text = clean.clean(payload.get(Key.TITLE) or ""), clean.clean(payload.get(Key.TEXT) or "")
    return f"{title} {boilerplate.remove_from(text)}".strip()[: clean.MAX_CHARS].rstrip()


def sparse(words: Sequence[text_words.Term]) -> models.SparseVector:
    """Return the tfidf vector: sublinear term frequencies of norm 1; Qdrant multiplies by IDF at query time."""
    summed = indexed(words)
    return models.SparseVector(indices=list(summed), values=list(summed.values()))


def embed(
    store: Store,
    config: SpaceConfig,
    ids: Sequence[str],
    topics: SpaceTopics | None = None,
    boilerplate: Boilerplate = NO_BOILERPLATE,
) -> Embedded:
    """Encode the stale points among ``ids`` without the boilerplate; with ``topics``, assign each its topic in the same write.

    A point edited meanwhile keeps its ``stale`` mark; a point deleted meanwhile stays deleted. Raises
    :class:`LlmrecError` if a service is away or the model cannot be loaded.
    """
    found = [point for point in store.raw.retrieve(ids, _READ) if point.get(Key.STALE)]
    stale, faults = malformed.split(store, found, Key.SRC_HASH, _CHECKED)
    malformed.set_aside(store, faults)
    if not stale:
        return Embedded()
    encoder = load_encoder(config)  # first: a model that cannot be loaded is not the points' fault
    work = _Embedding(store, config, encoder, topics, boilerplate)
    again = attempt(store, stale, Key.SRC_HASH, work.run)
    failed = set(again)
    return Embedded([point for point in stale if point.id not in failed], again)


@dataclass(frozen=True)
class _Embedding:
    """Encodes points of one collection and writes the results."""

    store: Store
    config: SpaceConfig
    encoder: Encoder
    topics: SpaceTopics | None
    boilerplate: Boilerplate

    def run(self, points: Sequence[Point]) -> None:
        """Encode and write group by group, longest texts first; one group is uploaded while the next are encoded."""
        sources = sorted(self._sources(points), key=lambda pair: -len(pair[0]))
        groups = list(batches(sources, POINTS_PER_GROUP))
        with ThreadPoolExecutor(ENCODING_THREADS, thread_name_prefix="embed") as threads:
            coming = threads.map(self.encoder.encode, [[source for source, _ in group] for group in groups])
            for group in groups:
                terms = [text_words.terms(source, self.config.stemmer) for source, _ in group]
                self._write([point for _, point in group], terms, next(coming))
        log.debug("encoded %d points of %s", len(points), self.store.collection)

    def _sources(self, points: Sequence[Point]) -> Iterator[tuple[str, Point]]:
        """Yield the source text of each point; of the stored texts, memory holds a few at a time."""
        for batch in batches(points, TEXTS_PER_READ):
            read = self.store.raw.retrieve([point.id for point in batch], _SOURCE)
            sound, faults = malformed.split(self.store, read, keys=_SOURCE)
            malformed.set_aside(self.store, faults)
            texts = {point.id: source_text(point.payload, self.boilerplate) for point in sound}
            yield from ((texts[point.id], point) for point in batch if point.id in texts)

    def _write(self, points: Sequence[Point], terms: Sequence[list[text_words.Term]], rows: np.ndarray) -> None:
        """Write a group, terms first: once a point is no longer stale, it is complete."""
        encoded = [
            _Encoded(point, row if row.any() else None, sparse(words) if words else None, keywords(words))
            for point, words, row in zip(points, terms, rows, strict=True)
        ]
        self._delete_lost(encoded)
        self.store.write_existing(
            {entry.point.id: entry.vectors for entry in encoded if entry.vectors},
            _unchanged(encoded),
            then=self._derived(encoded),
            before=self._readable(encoded),
        )

    def _readable(self, encoded: Sequence[_Encoded]) -> list[tuple[dict[str, Any], models.Filter]]:
        """Return payload operations per point: its terms and topics."""
        topics: list[dict[str, Any]] = [{}] * len(encoded)
        if self.topics is not None:
            tenants = [entry.point.get(Key.TENANT, "") for entry in encoded]
            topics = self.topics.marks(tenants, [entry.dense for entry in encoded], [entry.words for entry in encoded])
        shown = [{key: value for key, value in topic.items() if key != Key.FIT} for topic in topics]
        return [
            ({Key.TERMS: entry.terms, **topic}, _unchanged([entry]))
            for entry, topic in zip(encoded, shown, strict=True)
        ]

    def _derived(self, encoded: Sequence[_Encoded]) -> list[tuple[dict[str, Any], models.Filter]]:
        """Return payload operations per set of legs, not per point: points with equal legs share these values."""
        by_legs: dict[tuple[str, ...], list[_Encoded]] = {}
        for entry in encoded:
            by_legs.setdefault(tuple(entry.vectors), []).append(entry)
        values = {Key.STALE: False, Key.ATTEMPTS: 0, Key.MODEL: self.config.encoder_id, Key.EMBEDDED_AT: now()}
        if self.topics is not None and self.topics.fit:
            values[Key.FIT] = self.topics.fit
        return [({**values, Key.LEGS: list(legs)}, _unchanged(same)) for legs, same in by_legs.items()]

    def _delete_lost(self, encoded: Sequence[_Encoded]) -> None:
        """Delete vectors that the source no longer yields, for example after an edit that empties a text."""
        for leg in (DENSE, TFIDF):
            lost = [entry for entry in encoded if leg in entry.point.get(Key.LEGS, ()) and leg not in entry.vectors]
            if lost:
                self.store.delete_vectors([leg], _unchanged(lost))


def _unchanged(encoded: Sequence[_Encoded]) -> models.Filter:
    """Match these points while their sources are the encoded ones."""
    return conditions.unchanged([entry.point for entry in encoded], Key.SRC_HASH)
