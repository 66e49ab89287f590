"""The topics of a space, and the rule that assigns one of them to an item. Reads topics, never fits them.

A text belongs to the topic with the greatest ``2·cos(dense, centroid) + Σ tf(w) · weight(w)``, where the weight of a word
is its pointwise mutual information with the topic times its relative IDF. The one rule serves new items, free texts and,
after a fit, all items, so that a new item lands where a fit would have put it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from qdrant_client import models
from scipy import sparse

from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import DENSE, TFIDF, TOPICS_EDITED, TOPICS_FIT, Key
from llmrec_qdrant.space.points import Point

from ..behaviour.vectors import normalised
from ..storage.store import SpaceStore

__all__ = ["SpaceTopics", "TopicPoint", "Topics", "load", "read_fit", "read_points"]


DENSE_WEIGHT = 2.0
"""Weight of the dense cosine beside the words."""
MAX_TENANTS = 64
"""Tenants per space whose topics a process remembers."""
MAX_SPACES = 32
"""Spaces whose topics a process remembers."""


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
    fit: str = ""
    """The fit that wrote it."""
    size: int = 0
    """Items in it when it was last fitted."""


class Topics:
    """The topics of one tenant, and the rule made of them."""

    def __init__(self, points: Sequence[TopicPoint] = ()) -> None:
        self.points = sorted(points, key=lambda topic: int(topic.id))
        self.by_id = {topic.id: topic for topic in self.points}
        words = dict.fromkeys(index for topic in self.points for index in topic.words)
        self._rows = {index: row for row, index in enumerate(words)}
        rows = [self._rows[index] for topic in self.points for index in topic.words]
        columns = [column for column, topic in enumerate(self.points) for _ in topic.words]
        weights = [weight for topic in self.points for weight in topic.words.values()]
        self._words = sparse.csr_matrix((weights, (rows, columns)), shape=(len(words), len(self.points)))
        size = next((len(topic.dense) for topic in self.points if topic.dense is not None), 0)
        self._dense = np.array([np.zeros(size) if topic.dense is None else topic.dense for topic in self.points])
        self._cuts = np.array([topic.cut for topic in self.points]).reshape(-1, 2)

    def scores(self, dense: Sequence[Any], words: Sequence[models.SparseVector | None]) -> np.ndarray:
        """Scores (texts, topics) of texts with these dense and tfidf vectors; a missing vector is None."""
        entries = [
            (text, self._rows[index], value)
            for text, vector in enumerate(words) if vector is not None
            for index, value in zip(vector.indices, vector.values, strict=True) if index in self._rows
        ]  # fmt: skip
        texts, rows, values = zip(*entries, strict=True) if entries else ((), (), ())
        bags = sparse.csr_matrix((values, (texts, rows)), shape=(len(words), len(self._rows)))
        scores: np.ndarray = np.asarray((bags @ self._words).todense(), dtype=np.float64)
        if self._dense.size:
            blank = np.zeros(self._dense.shape[1])
            matrix = np.array([blank if vector is None else vector for vector in dense])
            scores = scores + DENSE_WEIGHT * normalised(matrix) @ self._dense.T
        return scores

    def assign(self, dense: Sequence[Any], words: Sequence[models.SparseVector | None]) -> list[TopicPoint | None]:
        """The topic of each text; None for an outlier."""
        if not self.points or not len(words):
            return [None] * len(words)
        scores = self.scores(dense, words)
        assigned: list[TopicPoint | None] = []
        for text, best in enumerate(scores.argmax(axis=1).tolist()):
            readable = dense[text] is not None or words[text] is not None
            cut = self._cuts[best][0 if dense[text] is not None else 1]
            assigned.append(self.points[best] if readable and scores[text, best] >= cut else None)
        return assigned


class SpaceTopics:
    """The topics of a version of a space; those of a tenant are read when first needed."""

    def __init__(self, read: Callable[[str], Sequence[TopicPoint]], fit: str = "", done: str = "") -> None:
        self._read = read
        self._rules: dict[str, tuple[Topics, Mapping[str, TopicPoint]]] = {}
        self.fit = fit
        """The fit that items get their topics from."""
        self.done = done
        """The last finished fit, which users' interests are made of."""

    def of(self, tenant: str) -> Topics:
        """The rule of a tenant: its topics of the newest fit."""
        return self._known(tenant)[0]

    def by_id(self, tenant: str) -> Mapping[str, TopicPoint]:
        """Every topic of a tenant; while items are being marked, also those they had before."""
        return self._known(tenant)[1]

    def _known(self, tenant: str) -> tuple[Topics, Mapping[str, TopicPoint]]:
        if tenant not in self._rules:
            if len(self._rules) >= MAX_TENANTS:
                self._rules.clear()
            points = self._read(tenant)
            newest = [topic for topic in points if topic.fit == self.fit] if self.fit != self.done else points
            rule = Topics(newest)
            light = {topic.id: replace(topic, words={}) for topic in points}  # the rule holds the words in arrays
            rule.points = [light[topic.id] for topic in rule.points]
            rule.by_id = {topic.id: topic for topic in rule.points}
            self._rules[tenant] = rule, light
        return self._rules[tenant]

    def marks(
        self, tenants: Sequence[str], dense: Sequence[Any], words: Sequence[models.SparseVector | None]
    ) -> list[dict[str, Any]]:
        """Payload values that name the topic of each item, among those of its tenant; empty before the first fit."""
        marks: list[dict[str, Any]] = [{} for _ in tenants]
        for tenant in dict.fromkeys(tenants) if self.fit else ():
            items = [item for item, owner in enumerate(tenants) if owner == tenant]
            topics = self.of(tenant).assign([dense[item] for item in items], [words[item] for item in items])
            for item, topic in zip(items, topics, strict=True):
                marks[item] = mark(topic, self.fit)
        return marks


def mark(topic: TopicPoint | None, fit: str) -> dict[str, Any]:
    """Payload values of an item in a topic, or in none."""
    return {Key.TOPICS: [topic.label] if topic else [], Key.TOPIC_IDS: [topic.id] if topic else [], Key.FIT: fit}


def read_fit(space: SpaceStore) -> dict[str, Any]:
    """How far the last fit is; empty if there was none. See :mod:`workers.topics.record`."""
    return dict(space.items.metadata().get(TOPICS_FIT) or {})


_CACHE: dict[tuple[int, str, int | None], tuple[object, SpaceTopics]] = {}


def load(space: SpaceStore) -> SpaceTopics:
    """The topics of a version of a space; read again when a fit or a change of label has left a new stamp."""
    metadata = space.items.metadata()
    state: dict[str, Any] = metadata.get(TOPICS_FIT) or {}
    done = str(state.get("done") or "")
    fit = str(state["run"]) if state.get("stage") == "marking" else done
    stamp = (fit, done, metadata.get(TOPICS_EDITED))
    key = (id(space.client), space.name, space.space.version)
    read_at, known = _CACHE.get(key, (None, SpaceTopics(lambda tenant: ())))
    if read_at == stamp:
        return known
    topics = SpaceTopics(partial(read_points, space) if fit else lambda tenant: (), fit, done)
    if len(_CACHE) > MAX_SPACES:
        _CACHE.clear()
    _CACHE[key] = (stamp, topics)
    return topics


def read_points(space: SpaceStore, tenant: str) -> list[TopicPoint]:
    """Every topic of a tenant stored in a version of a space."""
    mine = conditions.where(conditions.equals(Key.TENANT, tenant))
    return [_topic(point) for page in space.topics.pages(mine, vectors=True) for point in page]


def _topic(point: Point) -> TopicPoint:
    dense, words = point.dense(DENSE), point.sparse(TFIDF)
    cut = point.get(Key.CUT, (-np.inf, -np.inf))
    return TopicPoint(
        id=point.payload[Key.TOPIC_ID],
        tenant=point.get(Key.TENANT, ""),
        label=point.payload[Key.LABEL],
        label_by=point.get(Key.LABEL_BY, "keywords"),
        keywords=tuple(point.get(Key.KEYWORDS, ())),
        dense=None if dense is None else np.asarray(dense, dtype=np.float64),
        words=dict(zip(words.indices, words.values, strict=True)) if words is not None else {},
        cut=(float(cut[0]), float(cut[1])),
        fit=point.get(Key.FIT, ""),
        size=point.get(Key.SIZE, 0),
    )
