"""The topics of a space as a worker holds them, and the rule that gives an item its topic. Reads, never fits.

A text belongs to the topic with the greatest ``2·cos(dense, centroid) + Σ tf(w) · weight(w)``, where the weight of a
word is its pointwise mutual information with the topic times its relative IDF. New items, free texts and, after a
fit, all items go by this one rule, so that what streams in lands where a fit would have put it.
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
        self.points = sorted(points, key=lambda one: int(one.id))
        self.by_id = {one.id: one for one in self.points}
        columns: dict[int, int] = {}
        for one in self.points:
            for index in one.words:
                columns.setdefault(index, len(columns))
        self._columns = columns
        rows = [columns[index] for one in self.points for index in one.words]
        places = [place for place, one in enumerate(self.points) for _ in one.words]
        values = [value for one in self.points for value in one.words.values()]
        self._words = sparse.csr_matrix((values, (rows, places)), shape=(len(columns), len(self.points)))
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
        bags = sparse.csr_matrix(([one[2] for one in rows], place), shape=shape)
        found: np.ndarray = np.asarray((bags @ self._words).todense(), dtype=np.float64)
        if self._dense.size:
            blank = np.zeros(self._dense.shape[1])
            matrix = np.array([blank if one is None else one for one in dense])
            found = found + DENSE_WEIGHT * normalised(matrix) @ self._dense.T
        return found

    def assign(self, dense: Sequence[Any], words: Sequence[models.SparseVector | None]) -> list[TopicPoint | None]:
        """The topic of each text; None for an outlier."""
        if not self.points or not len(words):
            return [None] * len(words)
        scores = self.scores(dense, words)
        best = scores.argmax(axis=1)
        chosen: list[TopicPoint | None] = []
        for row, place in enumerate(best.tolist()):
            known = dense[row] is not None or words[row] is not None
            enough = scores[row, place] >= self._cuts[place][0 if dense[row] is not None else 1]
            chosen.append(self.points[place] if known and enough else None)
        return chosen


class SpaceTopics:
    """The topics of a version of a space, tenant by tenant, each read when it is first asked for."""

    def __init__(self, read: Callable[[str], Sequence[TopicPoint]], fit: str = "", done: str = "") -> None:
        self._read = read
        self._rules: dict[str, tuple[Topics, Mapping[str, TopicPoint]]] = {}
        self.fit = fit
        """The fit that items get their topics from."""
        self.done = done
        """The last fit that is through: what users' interests are of."""

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
            newest = [one for one in points if one.fit == self.fit] if self.fit != self.done else points
            rule = Topics(newest)
            light = {one.id: replace(one, words={}) for one in points}  # the rule holds them in arrays
            rule.points = [light[one.id] for one in rule.points]
            rule.by_id = {one.id: one for one in rule.points}
            self._rules[tenant] = rule, light
        return self._rules[tenant]

    def marks(
        self, tenants: Sequence[str], dense: Sequence[Any], words: Sequence[models.SparseVector | None]
    ) -> list[dict[str, Any]]:
        """What the payload of each item says of its topic, among those of its tenant; nothing before the first fit."""
        found: list[dict[str, Any]] = [{} for _ in tenants]
        for tenant in dict.fromkeys(tenants) if self.fit else ():
            rows = [row for row, owner in enumerate(tenants) if owner == tenant]
            chosen = self.of(tenant).assign([dense[row] for row in rows], [words[row] for row in rows])
            for row, topic in zip(rows, chosen, strict=True):
                found[row] = mark(topic, self.fit)
        return found


def mark(topic: TopicPoint | None, fit: str) -> dict[str, Any]:
    """Payload of an item in a topic, or in none."""
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
