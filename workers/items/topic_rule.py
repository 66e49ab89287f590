"""The rule that assigns a text to a topic. Pure.

A text belongs to the topic with the greatest ``2·cos(dense, centroid) + Σ tf(w) · weight(w)``, where the weight of a word
is its pointwise mutual information with the topic times its relative IDF. The same rule serves new items, free texts and,
after a fit, all items, so a new item lands where a fit would have put it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from qdrant_client import models
from scipy import sparse

from llmrec_qdrant.space.layout import Key

from ..behaviour.vectors import normalised

__all__ = ["TopicPoint", "Topics", "mark"]

DENSE_WEIGHT = 2.0
"""Weight of the dense cosine relative to the words."""


@dataclass(frozen=True)
class TopicPoint:
    """A topic as it is stored in Qdrant."""

    id: str
    tenant: str
    label: str
    label_by: str = "keywords"
    keywords: tuple[str, ...] = ()
    dense: np.ndarray | None = None
    """Mean direction of its items; None if the model cannot read them."""
    words: Mapping[int, float] = field(default_factory=dict)
    """Sparse index of a word → weight."""
    cut: tuple[float, float] = (-np.inf, -np.inf)
    """Score below which an item is an outlier: with a dense vector, and without."""
    fit: str = ""
    """Name of the fit that wrote it."""
    size: int = 0
    """Number of its items at the last fit."""
    theme: str = ""
    """The group of topics that it belongs to; empty where topics are too few for groups."""


class Topics:
    """The topics of one tenant, and the rule that assigns texts to them."""

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
        """Return float scores (texts, topics) of texts with these dense and tfidf vectors; a missing vector is None."""
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
        """Return the topic of each text; None for an outlier."""
        if not self.points or not len(words):
            return [None] * len(words)
        scores = self.scores(dense, words)
        assigned: list[TopicPoint | None] = []
        for text, best in enumerate(scores.argmax(axis=1).tolist()):
            readable = dense[text] is not None or words[text] is not None
            cut = self._cuts[best][0 if dense[text] is not None else 1]
            assigned.append(self.points[best] if readable and scores[text, best] >= cut else None)
        return assigned


def mark(topic: TopicPoint | None, fit: str) -> dict[str, Any]:
    """Return the payload values of an item in this topic; None stands for an outlier."""
    return {Key.TOPICS: [topic.label] if topic else [], Key.TOPIC_IDS: [topic.id] if topic else [], Key.FIT: fit}
