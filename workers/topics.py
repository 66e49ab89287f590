"""The topics of a space as a worker holds them, and the rule that gives an item its topic. Reads, never fits.

A text belongs to the topic with the greatest ``2·cos(dense, centroid) + Σ tf(w) · weight(w)``, where the weight of a
word is its pointwise mutual information with the topic times its relative IDF. New items, free texts and, after a
fit, all items go by this one rule, so that what streams in lands where a fit would have put it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from qdrant_client import QdrantClient, models
from scipy import sparse

from llmrec_qdrant.layout import DENSE, TFIDF, TOPICS_FIT, Key, Space
from llmrec_qdrant.translate import translated
from workers import store
from workers.encoder import normalised

__all__ = ["TopicPoint", "Topics", "load", "read_fit"]

MEANING = 2.0
"""Weight of the dense cosine beside the words."""


@dataclass(frozen=True)
class TopicPoint:
    """One topic."""

    id: str
    tenant: str
    label: str
    label_by: str = "keywords"
    keywords: tuple[str, ...] = ()
    dense: np.ndarray | None = None
    """Mean direction of its items; None: the model cannot read them."""
    words: Mapping[int, float] = field(default_factory=dict)
    """Sparse index of a word → weight."""
    cut: tuple[float, float] = (-np.inf, -np.inf)
    """Score below which an item is an outlier: with a dense vector, and without."""


class Topics:
    """The topics of one space."""

    _cache: ClassVar[dict[tuple[int, str, int | None], tuple[str, Topics]]] = {}

    def __init__(self, points: Sequence[TopicPoint] = ()) -> None:
        self.points = sorted(points, key=lambda one: (one.tenant, int(one.id)))
        self.by_id = {one.id: one for one in self.points}
        columns: dict[int, int] = {}
        for one in self.points:
            for index in one.words:
                columns.setdefault(index, len(columns))
        self._columns = columns
        self._words = np.zeros((len(columns), len(self.points)))
        for place, one in enumerate(self.points):
            self._words[[columns[index] for index in one.words], place] = list(one.words.values())
        size = next((len(one.dense) for one in self.points if one.dense is not None), 0)
        self._dense = np.array([np.zeros(size) if one.dense is None else one.dense for one in self.points])
        self._cuts = np.array([one.cut for one in self.points]).reshape(-1, 2)

    def scores(self, dense: Sequence[Any], words: Sequence[models.SparseVector | None]) -> np.ndarray:
        """(texts, topics); a missing vector is None."""
        rows = [
            (row, self._columns[index], value)
            for row, vector in enumerate(words) if vector is not None
            for index, value in zip(vector.indices, vector.values, strict=True) if index in self._columns
        ]  # fmt: skip
        shape = (len(words), len(self._columns))
        place = ([one[0] for one in rows], [one[1] for one in rows])
        found: np.ndarray = np.asarray(sparse.csr_matrix(([one[2] for one in rows], place), shape=shape) @ self._words)
        if self._dense.size:
            blank = np.zeros(self._dense.shape[1])
            matrix = np.array([blank if one is None else one for one in dense])
            found = found + MEANING * normalised(matrix) @ self._dense.T
        return found

    def assign(
        self, tenants: Sequence[str], dense: Sequence[Any], words: Sequence[models.SparseVector | None]
    ) -> list[TopicPoint | None]:
        """The topic of each text among those of its tenant; None for an outlier."""
        if not self.points or not tenants:
            return [None] * len(tenants)
        scores = self.scores(dense, words)
        owners = np.array([one.tenant for one in self.points])
        scores = np.where(owners[None, :] == np.array(tenants)[:, None], scores, -np.inf)
        best = scores.argmax(axis=1)
        chosen: list[TopicPoint | None] = []
        for row, place in enumerate(best.tolist()):
            known = dense[row] is not None or words[row] is not None
            score = scores[row, place]
            enough = np.isfinite(score) and score >= self._cuts[place][0 if dense[row] is not None else 1]
            chosen.append(self.points[place] if known and enough else None)
        return chosen

    def marks(
        self, tenants: Sequence[str], dense: Sequence[Any], words: Sequence[models.SparseVector | None]
    ) -> list[dict[str, Any]]:
        """What an item's payload says of its topic."""
        return [mark(one) for one in self.assign(tenants, dense, words)]


def mark(topic: TopicPoint | None) -> dict[str, Any]:
    """Payload of an item in a topic, or in none."""
    return {Key.TOPICS: [topic.label] if topic else [], Key.TOPIC_IDS: [topic.id] if topic else []}


def read_fit(client: QdrantClient, space: Space) -> dict[str, Any]:
    """What the topics were last fitted on; empty if never."""
    with translated():
        metadata = client.get_collection(space.items).config.metadata or {}
    return dict(metadata.get(TOPICS_FIT) or {})


def load(client: QdrantClient, space: Space) -> Topics:
    """The topics of a version of a space; read again when a fit or a change of label has left a new stamp."""
    stamp = str(read_fit(client, space).get("at") or "")
    key = (id(client), space.name, space.version)
    at, known = Topics._cache.get(key, ("", Topics()))
    if at == stamp:
        return known
    made = Topics(read_points(client, space))
    if len(Topics._cache) > 32:
        Topics._cache.clear()
    Topics._cache[key] = (stamp, made)
    return made


def read_points(client: QdrantClient, space: Space) -> list[TopicPoint]:
    """Every topic stored in a version of a space."""
    found: list[TopicPoint] = []
    offset: Any = None
    while True:
        with translated():
            page, offset = client.scroll(space.topics, limit=32, offset=offset, with_payload=True, with_vectors=True)
        found += [_point(record) for record in page]
        if offset is None:
            return found


def _point(record: models.Record) -> TopicPoint:
    payload = record.payload or {}
    vectors: dict[str, Any] = record.vector if isinstance(record.vector, dict) else {}
    words = vectors.get(TFIDF)
    cut = payload.get(Key.CUT) or [-np.inf, -np.inf]
    return TopicPoint(
        id=payload[Key.TOPIC_ID],
        tenant=payload.get(Key.TENANT) or "",
        label=payload[Key.LABEL],
        label_by=payload.get(Key.LABEL_BY) or "keywords",
        keywords=tuple(payload.get(Key.KEYWORDS) or []),
        dense=np.asarray(vectors[DENSE], dtype=np.float64) if vectors.get(DENSE) is not None else None,
        words=dict(zip(words.indices, words.values, strict=True)) if words is not None else {},
        cut=(float(cut[0]), float(cut[1])),
    )


def stored(client: QdrantClient, space: Space) -> int:
    """Number of topics."""
    return store.count(client, space.topics)
