"""A sample of items → topics: cluster, describe, name, keep what is still the same. Pure: writes nothing.

A refit starts from the centroids of the existing topics. A new topic takes over the id and label of the old topic that
it matches best (Hungarian method on shared members and shared words), so labels are stable. A label set by an admin
stays, whatever happens to the keywords.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from qdrant_client import models

from llmrec_qdrant.contracts.answers import MAX_TOPICS, MIN_TOPIC_ITEMS
from llmrec_qdrant.space.ids import sparse_index

from ..behaviour.vectors import normalised
from ..items.topic_rule import TopicPoint, Topics
from ..text import words as text_words
from . import clusters, keywords
from .naming import named

__all__ = ["MAX_TITLE_LENGTH", "Fitted", "Sample", "fit_sample", "how_many", "matched"]


MAX_CLUSTERS = 64
"""Clusters before near-duplicates are merged, unless the number of topics is fixed."""


MERGE_COSINE = 0.7
"""Cosine of two centroids, relative to the mean of everything, from which two clusters are one topic."""


MAX_TOPIC_WORDS = 3_000
"""Words kept per topic, strongest first."""


OUTLIER_SHARE = 1 / 3
"""An item is an outlier if its score is less than this share of the median of its topic's members."""


MIN_LIKENESS = 0.5
"""Likeness from which a new topic continues an old one."""


SEPARATE_SHARE = 0.1
"""Share of texts without a dense vector from which these are clustered on their own."""


MAX_EXAMPLE_TITLES = 5
"""Example titles per topic."""


MAX_TITLE_LENGTH = 200
"""Characters of an example's title."""


@dataclass(frozen=True)
class Sample:
    """Texts to be clustered."""

    terms: list[list[text_words.Term]]
    dense: list[Any]
    """Vector or None per text."""
    words: list[models.SparseVector | None] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    before: list[str | None] = field(default_factory=list)
    """Id of the topic each text had."""
    tenant: str = ""


@dataclass(frozen=True)
class Fitted:
    """A topic with what only its point tells."""

    topic: TopicPoint
    size: int
    examples: list[str]


def how_many(items: int) -> int:
    """Topics to begin with: ``√items``, from 2 to ``MAX_CLUSTERS``. Merging then leaves as many as differ.

    >>> how_many(100), how_many(240), how_many(10**6)
    (10, 15, 64)
    """
    return max(2, min(MAX_CLUSTERS, math.isqrt(max(items, 0))))


def fit_sample(
    sample: Sample, number: int | None = None, old: Sequence[TopicPoint] = (), grown: int = 0, last: int = 0
) -> tuple[list[Fitted], int]:
    """Topics of a sample, and the last number that a topic got.

    ``number`` fixes how many topics; ``old``: the topics until now; ``grown``: how many more there may be.
    """
    labels, rows, parts = _clusters(sample, number, old, grown)
    if labels.max(initial=-1) < 1:  # a topic is what sets some items apart from others
        return [], last
    topics = _described(sample, labels, rows, parts)
    return _identified(sample, topics, labels, old, last)


def _clusters(
    sample: Sample, number: int | None, old: Sequence[TopicPoint], grown: int
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """A cluster per text (-1: nothing is known of it), the rows that were clustered, and the parts clustered on their own."""
    count = len(sample.terms)
    labels, widths, features = np.full(count, -1), [1], []
    parts = _parts([one is not None for one in sample.dense])
    for place, part in enumerate(parts):
        dense = _matrix([sample.dense[row] for row in part])
        raw = clusters.features(clusters.bags([clusters.company(sample.terms[row]) for row in part]), dense)
        rows = clusters.smoothed(raw)
        known = np.flatnonzero(np.abs(rows).sum(axis=1) > 0)
        features.append(rows)
        widths.append(rows.shape[1])
        if len(known) < MIN_TOPIC_ITEMS:
            continue
        wanted = None if number is None else _share(number, [len(one) for one in parts], place)
        start = _old_centroids(rows, [sample.before[row] for row in part], old)
        mine = _clustered(rows[known], raw[known], wanted, start, round(grown * len(part) / count))
        labels[part[known]] = mine + labels.max() + 1
    whole = np.zeros((count, max(widths)))
    for part, rows in zip(parts, features, strict=True):
        whole[part, : rows.shape[1]] = rows
    return labels, whole, parts


def _parts(readable: Sequence[bool]) -> list[np.ndarray]:
    """Texts that are clustered together. Those that the model cannot read form a part of their own, where they are many."""
    can = np.array(readable, dtype=bool)
    inside, outside = np.flatnonzero(can), np.flatnonzero(~can)
    apart = len(inside) >= clusters.MIN_DENSE_SHARE * len(can) and len(outside) >= max(
        MIN_TOPIC_ITEMS, SEPARATE_SHARE * len(can)
    )
    return [inside, outside] if apart else [np.arange(len(can))]


def _share(number: int, sizes: Sequence[int], place: int) -> int:
    """How many of ``number`` topics go to a part.

    >>> [_share(5, [60, 40], place) for place in (0, 1)], [_share(2, [99, 1], place) for place in (0, 1)]
    ([3, 2], [1, 1])
    """
    first = min(max(1, round(number * sizes[0] / sum(sizes))), number - 1) if len(sizes) > 1 else number
    return first if place == 0 else number - first


def _matrix(dense: Sequence[Any]) -> np.ndarray | None:
    size = next((len(one) for one in dense if one is not None), 0)
    return np.array([np.zeros(size) if one is None else one for one in dense]) if size else None


def _clustered(
    rows: np.ndarray, raw: np.ndarray, number: int | None, start: np.ndarray | None, grown: int
) -> np.ndarray:
    """A cluster per row. Near-duplicates are compared relative to the mean of everything, by rows before smoothing."""
    if number is not None:
        same = start is not None and len(start) == number
        return np.unique(clusters.clustered(rows, number, start if same else None), return_inverse=True)[1]
    begin = how_many(len(rows)) if start is None else min(len(start) + grown, MAX_TOPICS)
    labels = clusters.clustered(rows, begin, start)
    return clusters.merged(raw - raw.mean(axis=0), labels, MERGE_COSINE, least=max(2, len(rows) // 500))


def _old_centroids(rows: np.ndarray, before: Sequence[str | None], old: Sequence[TopicPoint]) -> np.ndarray | None:
    """The centroids of the old topics among the new rows; None for fewer than two."""
    members = [[row for row, topic in enumerate(before) if topic == one.id] for one in old]
    middles = [rows[rows_of].mean(axis=0) for rows_of in members if rows_of]
    return normalised(np.array(middles)) if len(middles) > 1 else None


def _described(sample: Sample, labels: np.ndarray, rows: np.ndarray, parts: Sequence[np.ndarray]) -> list[Fitted]:
    """Each cluster as a topic without an id: its words, keywords, centroid and examples."""
    bags = clusters.bags([[term.stem for term in terms] for terms in sample.terms])
    inside = labels >= 0
    idf = clusters.idf(bags)
    strengths = keywords.word_weights(bags.counts[inside], labels[inside])
    strengths = strengths * (idf / max(float(np.average(idf, weights=bags.frequencies)), 1e-9))
    forms = keywords.readable(sample.terms)
    telling = _telling(sample, labels, parts, bags, forms)
    indices = [sparse_index(stem) for stem in bags.words]
    dense = _matrix(sample.dense)
    with_meaning = dense is not None and float(dense.any(axis=1).mean()) >= clusters.MIN_DENSE_SHARE
    centroids = clusters.centroids(rows[inside], labels[inside])
    described: list[Fitted] = []
    for place, strength in enumerate(strengths):
        members = np.flatnonzero(labels == place)
        top = [int(column) for column in np.argsort(-strength, kind="stable")[:MAX_TOPIC_WORDS] if strength[column] > 0]
        point = TopicPoint(
            id=str(place),
            tenant=sample.tenant,
            label="",
            keywords=tuple(keywords.keywords(telling[place], bags.words, forms)),
            dense=_direction(dense[members]) if with_meaning and dense is not None else None,
            words={indices[column]: float(strength[column]) for column in top},
        )
        nearest = members[np.argsort(-(rows[members] @ centroids[place]), kind="stable")]
        described.append(Fitted(point, len(members), _examples(sample.titles, nearest)))
    return described


def _telling(
    sample: Sample, labels: np.ndarray, parts: Sequence[np.ndarray], bags: clusters.Bags, forms: Mapping[str, str]
) -> np.ndarray:
    """(topics, words): how well a word tells a topic from the others of its part; zero for words that say nothing."""
    telling = np.zeros((int(labels.max()) + 1, len(bags.words)))
    for part in parts:  # a part is one language, more or less
        mine = part[labels[part] >= 0]
        if len(mine):
            topics, places = np.unique(labels[mine], return_inverse=True)
            telling[topics] = keywords.distinctive(bags.counts[mine], places)
    fragments = keywords.fragments(sample.terms)
    empty = [stem in fragments or keywords.says(forms.get(stem, stem)) == "nothing" for stem in bags.words]
    telling[:, np.flatnonzero(empty)] = 0
    return telling


def _direction(vectors: np.ndarray) -> np.ndarray | None:
    """The mean direction of vectors; None if they are zero or cancel out."""
    direction = normalised(vectors.sum(axis=0))
    return direction if direction.any() else None


def _examples(titles: Sequence[str], nearest: np.ndarray) -> list[str]:
    """Different titles of the members nearest to the centroid."""
    return list(dict.fromkeys(titles[row] for row in nearest[: 4 * MAX_EXAMPLE_TITLES] if titles))[:MAX_EXAMPLE_TITLES]


def _identified(
    sample: Sample, made: Sequence[Fitted], labels: np.ndarray, old: Sequence[TopicPoint], last: int
) -> tuple[list[Fitted], int]:
    """Topics with ids and labels, those of the old topic that continues where there is one, and with cuts."""
    pairs = matched([one.topic for one in made], old, labels, sample.before)
    taken = {old[place].label for place in pairs.values()}
    fresh = [one for place, one in enumerate(made) if place not in pairs]
    names = iter(named([(one.topic.keywords, one.examples) for one in fresh]))
    result: list[Fitted] = []
    for place, one in enumerate(made):
        if place in pairs:
            twin = old[pairs[place]]
            topic = replace(one.topic, id=twin.id, label=twin.label, label_by=twin.label_by)
        else:
            last += 1
            name = next(names)
            wanted = name if name and name not in taken else keywords.label(one.topic.keywords, taken, last)
            topic = replace(one.topic, id=str(last), label=wanted, label_by="llm" if wanted == name else "keywords")
        taken.add(topic.label)
        result.append(replace(one, topic=topic))
    return _with_cuts(sample, result), last


def _with_cuts(sample: Sample, made: Sequence[Fitted]) -> list[Fitted]:
    """Topics with the score below which a text is no member, with a dense vector and without."""
    if not sample.words:
        return list(made)
    rule = Topics([one.topic for one in made])
    scores = rule.scores(sample.dense, sample.words)
    best, score = scores.argmax(axis=1), scores.max(axis=1)
    place = {one.id: number for number, one in enumerate(rule.points)}
    has_dense = np.array([one is not None for one in sample.dense])
    has_words = np.array([one is not None for one in sample.words])
    result = []
    for one in made:
        mine = best == place[one.topic.id]
        groups = (score[mine & has_dense], score[mine & ~has_dense & has_words])
        cut = tuple(_cut(group) for group in groups)
        result.append(replace(one, topic=replace(one.topic, cut=(cut[0], cut[1])), size=int(mine.sum())))
    return result


def _cut(scores: np.ndarray) -> float:
    """Above zero: a text that shares nothing with any topic belongs to none."""
    return max(OUTLIER_SHARE * float(np.median(scores)), 1e-6) if len(scores) else 1e-6


def matched(
    new: Sequence[TopicPoint], old: Sequence[TopicPoint], labels: np.ndarray, before: Sequence[str | None]
) -> dict[int, int]:
    """Place of a new topic → place of the old one that it still is.

    Likeness is the greater of Dice's coefficient of the members both times knew and the cosine of the word
    weights; the assignment with the greatest sum wins (Kuhn 1955), pairs below ``MIN_LIKENESS`` are none.
    """
    if not new or not old:
        return {}
    from scipy.optimize import linear_sum_assignment

    likeness = np.zeros((len(new), len(old)))
    past = np.array([one if one is not None else "" for one in before] if len(before) else [""] * len(labels))
    both = (past != "") & (labels >= 0)
    for row in range(len(new)):
        for column, other in enumerate(old):
            here, there = both & (labels == row), both & (past == other.id)
            total = int(here.sum() + there.sum())
            dice = 2 * int((here & there).sum()) / total if total else 0.0
            likeness[row, column] = max(dice, _cosine(new[row].words, other.words) if not total else 0.0)
    rows, columns = linear_sum_assignment(-likeness)
    return {int(r): int(c) for r, c in zip(rows, columns, strict=True) if likeness[r, c] >= MIN_LIKENESS}


def _cosine(one: Mapping[int, float], two: Mapping[int, float]) -> float:
    shared = sum(value * two[index] for index, value in one.items() if index in two)
    norms = math.sqrt(sum(v * v for v in one.values())) * math.sqrt(sum(v * v for v in two.values()))
    return shared / norms if norms else 0.0
