"""Turns a sample of items into topics: clusters them, describes and names the clusters, and matches them with old topics.

Pure: writes nothing. A refit starts from the centroids of the existing topics. A new topic takes over the id and label of
the old topic that it matches best (Hungarian method on shared members and shared words), so labels are stable. A label
set by an admin stays even if the keywords change.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from qdrant_client import models

from llmrec_qdrant.contracts.answers import MAX_TOPICS, MIN_TOPIC_ITEMS
from llmrec_qdrant.space.ids import sparse_index

from ..behaviour.vectors import normalised
from ..items.topic_rule import TopicPoint, Topics
from ..text import words as text_words
from . import clusters, keywords, pinned, themes
from . import labels as label_choice
from .matching import matched
from .naming import named
from .parts import parts_of, share

__all__ = ["MAX_TITLE_LENGTH", "Fitted", "Sample", "fit_sample", "how_many", "matrix"]


MAX_CLUSTERS = 64
"""Clusters before near-duplicates are merged, unless the number of topics is fixed."""


MERGE_COSINE = 0.7
"""Cosine of two centroids, centred on the mean of all items, from which two clusters are merged into one topic."""


MERGE_OLD_COSINE = 0.85
"""The same cosine for two topics that were already apart: one limit for both would merge, at every refit, pairs just below it."""


MAX_TOPIC_WORDS = 3_000
"""Words kept per topic, strongest first."""


OUTLIER_SHARE = 1 / 3
"""Share of the median score of a topic's members below which an item is an outlier."""


MAX_EXAMPLE_TITLES = 5
"""Example titles per topic."""


MAX_TITLE_LENGTH = 200
"""Characters of an example title."""


@dataclass(frozen=True)
class Sample:
    """A sample of items to be clustered; the lists are parallel."""

    terms: list[list[text_words.Term]]
    dense: list[Any]
    """Dense vector of each text, or None."""
    words: list[models.SparseVector | None] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    before: list[str | None] = field(default_factory=list)
    """Id of the topic that each text had until now, or None."""
    tenant: str = ""


@dataclass(frozen=True)
class Fitted:
    """A topic with the values that are only stored, not used for assignment."""

    topic: TopicPoint
    size: int
    examples: list[str]
    naming: tuple[str, ...] = ()
    """Words in the order in which a label takes them."""
    centroid: np.ndarray = field(default_factory=lambda: np.zeros(1))
    """Mean direction of its members' features; topics are compared by it within one fit only."""
    renewed: bool = False
    """Whether its label replaces that of the topic that it continues."""


def how_many(items: int) -> int:
    """Return the number of clusters to start with: ``√items``, from 2 to ``MAX_CLUSTERS``; merging then reduces it.

    >>> how_many(100), how_many(240), how_many(10**6)
    (10, 15, 64)
    """
    return max(2, min(MAX_CLUSTERS, math.isqrt(max(items, 0))))


def fit_sample(
    sample: Sample,
    number: int | None = None,
    old: Sequence[TopicPoint] = (),
    grown: int = 0,
    last: int = 0,
    renewed: bool = False,
    kept: Collection[str] = (),
) -> tuple[list[Fitted], int]:
    """Fit the topics of a sample; returns them and the highest number used for a topic id.

    ``number`` fixes the number of topics; ``old`` are the current topics; ``grown`` is how many topics may be added;
    ``last`` is the highest number used so far. If labels and themes are ``renewed``, only labels that a person chose stay.
    The texts of topics that a person named are not clustered again, nor are those of the topics ``kept`` (ids).
    """
    labels, rows, parts = _clusters(sample, number, old, grown, kept)
    if labels.max(initial=-1) < 1:  # a single topic would distinguish nothing
        return [Fitted(topic, topic.size, []) for topic in pinned.split_old(old)[0]], last
    topics = _described(sample, labels, rows, parts)
    topics, last = _identified(sample, topics, labels, old, last, renewed)
    return _with_themes(
        sample, topics, labels, parts, {} if renewed else {topic.id: topic.theme for topic in old}
    ), last


def _clusters(
    sample: Sample, number: int | None, old: Sequence[TopicPoint], grown: int, kept: Collection[str] = ()
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Cluster the texts, in one or two parts.

    Returns the cluster of each text (-1 for a text without features), its features, and the row numbers of each part.
    """
    count = len(sample.terms)
    named_topics, old = pinned.split_old(old, kept)
    held = pinned.held_rows(sample.before, named_topics)
    labels, widths, features = np.full(count, -1), [], []
    parts = parts_of([vector is not None for vector in sample.dense])
    for place, part in enumerate(parts):
        dense = matrix([sample.dense[row] for row in part])
        raw = clusters.features(clusters.bags([clusters.company(sample.terms[row]) for row in part]), dense)
        rows = clusters.smoothed(raw)
        known = np.flatnonzero((np.abs(rows).sum(axis=1) > 0) & ~held[part])
        features.append(rows)
        widths.append(rows.shape[1])
        if len(known) < MIN_TOPIC_ITEMS:
            continue
        before, more = [sample.before[row] for row in part], round(grown * len(part) / count)
        wanted = None
        if number is not None:
            wanted = share(number - len(named_topics), [len(rows_of) for rows_of in parts], place)
        elif held[part].any():
            wanted = pinned.free_number(before, old, more)
        if wanted is not None and wanted < 1:
            continue
        mine = _clustered(rows[known], raw[known], wanted, _old_centroids(rows, before, old), more)
        labels[part[known]] = mine + labels.max() + 1
    whole = np.zeros((count, sum(widths)))
    for part, rows, start_at in zip(parts, features, np.cumsum([0, *widths]), strict=False):
        whole[part, start_at : start_at + rows.shape[1]] = rows  # columns of its own: parts are not comparable
    return pinned.added(labels, sample.before, named_topics), whole, parts


def matrix(dense: Sequence[Any]) -> np.ndarray | None:
    """Return dense vectors as a matrix with zeros for a missing one; None if all are missing."""
    size = next((len(vector) for vector in dense if vector is not None), 0)
    return np.array([np.zeros(size) if vector is None else vector for vector in dense]) if size else None


def _clustered(
    rows: np.ndarray, raw: np.ndarray, number: int | None, start: np.ndarray | None, grown: int
) -> np.ndarray:
    """Return the cluster of each row. Near-duplicates are merged by their unsmoothed rows ``raw``, centred on the mean."""
    if number is not None:
        same = start is not None and len(start) == number
        return np.unique(clusters.clustered(rows, number, start if same else None), return_inverse=True)[1]
    begin = how_many(len(rows)) if start is None else min(len(start) + grown, MAX_TOPICS)
    labels = clusters.clustered(rows, begin, start)
    known = 0 if start is None else len(start)
    least = max(2, len(rows) // 500)
    return clusters.merged(raw - raw.mean(axis=0), labels, MERGE_COSINE, least, known, MERGE_OLD_COSINE)


def _old_centroids(rows: np.ndarray, before: Sequence[str | None], old: Sequence[TopicPoint]) -> np.ndarray | None:
    """Return the centroids of the old topics' members in the new rows; None for fewer than two topics."""
    members = [[row for row, topic_id in enumerate(before) if topic_id == topic.id] for topic in old]
    middles = [rows[rows_of].mean(axis=0) for rows_of in members if rows_of]
    return normalised(np.array(middles)) if len(middles) > 1 else None


def _described(sample: Sample, labels: np.ndarray, rows: np.ndarray, parts: Sequence[np.ndarray]) -> list[Fitted]:
    """Describe each cluster as a topic, still without an id: its words, keywords, centroid and examples."""
    bags = clusters.bags([[term.stem for term in terms] for terms in sample.terms])
    inside = labels >= 0
    idf = clusters.idf(bags)
    strengths = keywords.word_weights(bags.counts[inside], labels[inside])
    strengths = strengths * (idf / max(float(np.average(idf, weights=bags.frequencies)), 1e-9))
    forms = keywords.readable(sample.terms)
    telling = _telling(sample, labels, parts, bags, forms)
    naming = label_choice.label_words(telling, bags.words, forms)
    indices = [sparse_index(stem) for stem in bags.words]
    dense = matrix(sample.dense)
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
        described.append(
            Fitted(point, len(members), _examples(sample.titles, nearest), tuple(naming[place]), centroids[place])
        )
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
    fragments, foreign = keywords.fragments(sample.terms), label_choice.foreign_function_words(sample.terms)
    empty = [
        stem in fragments or forms.get(stem, stem) in foreign or keywords.says(forms.get(stem, stem)) == "nothing"
        for stem in bags.words
    ]
    telling[:, np.flatnonzero(empty)] = 0
    return telling


def _direction(vectors: np.ndarray) -> np.ndarray | None:
    """Return the mean direction of vectors; None if they are zero or cancel out."""
    direction = normalised(vectors.sum(axis=0))
    return direction if direction.any() else None


def _examples(titles: Sequence[str], nearest: np.ndarray) -> list[str]:
    """Return distinct titles of the members nearest to the centroid."""
    return list(dict.fromkeys(titles[row] for row in nearest[: 4 * MAX_EXAMPLE_TITLES] if titles))[:MAX_EXAMPLE_TITLES]


def _identified(
    sample: Sample,
    described: Sequence[Fitted],
    labels: np.ndarray,
    old: Sequence[TopicPoint],
    last: int,
    renewed: bool = False,
) -> tuple[list[Fitted], int]:
    """Give topics ids, labels and cuts; a topic that continues an old one takes over its id and label.

    If the labels are ``renewed``, only a label that a person chose is taken over.
    """
    pairs = matched([topic.topic for topic in described], old, labels, sample.before)
    labelled = {place: old[pair] for place, pair in pairs.items() if old[pair].label}
    kept = {place: topic for place, topic in labelled.items() if not renewed or topic.label_by == "admin"}
    named_topics = pinned.split_old(old)[0]
    taken = {topic.label for topic in (*kept.values(), *named_topics)}
    fresh = [topic for place, topic in enumerate(described) if place not in kept]
    names = iter(named([topic.topic.keywords for topic in fresh]))
    phrases = label_choice.phrases(sample.terms) if fresh else {}
    result: list[Fitted] = []
    for place, fitted in enumerate(described):
        topic = fitted.topic
        if place in pairs:
            topic = replace(topic, id=old[pairs[place]].id)
        else:
            last += 1
            topic = replace(topic, id=str(last))
        if place in kept:
            topic = replace(topic, label=kept[place].label, label_by=kept[place].label_by)
        else:
            name = next(names)
            label = name if name and name not in taken else keywords.label(fitted.naming, taken, int(topic.id), phrases)
            topic = replace(topic, label=label, label_by="llm" if label == name else "keywords")
        taken.add(topic.label)
        result.append(replace(fitted, topic=topic, renewed=place in pairs and place not in kept))
    ids = {fitted.topic.id for fitted in result}
    absent = [topic for topic in named_topics if topic.id not in ids]
    result += [Fitted(topic, 0, [], centroid=np.zeros_like(described[0].centroid)) for topic in absent]
    return _with_cuts(sample, result), last


def _with_themes(
    sample: Sample, topics: Sequence[Fitted], labels: np.ndarray, parts: Sequence[np.ndarray], before: Mapping[str, str]
) -> list[Fitted]:
    """Give topics their themes: those that they had ``before`` (topic id → theme), or new ones if most had none."""
    names = [before.get(fitted.topic.id, "") for fitted in topics]
    centroids = np.array([fitted.centroid for fitted in topics])
    if 2 * sum(map(bool, names)) >= len(topics):
        names = themes.joined(centroids, names)
    elif number := themes.how_many_themes(len(topics)):
        groups = themes.grouped(centroids, number)
        labels_of = _theme_labels(sample, np.where(labels >= 0, groups[labels], -1), parts)
        alone = [fitted.topic.label for fitted in topics]  # a theme without texts has no words
        names = [
            labels_of[group] if group < len(labels_of) else alone[place] for place, group in enumerate(groups.tolist())
        ]
    return [
        replace(fitted, topic=replace(fitted.topic, theme=name)) for fitted, name in zip(topics, names, strict=True)
    ]


def _theme_labels(sample: Sample, labels: np.ndarray, parts: Sequence[np.ndarray]) -> list[str]:
    """Return the label of each theme: the words that tell it from the others."""
    bags = clusters.bags([[term.stem for term in terms] for terms in sample.terms])
    forms, phrases = keywords.readable(sample.terms), label_choice.phrases(sample.terms)
    chosen: dict[str, None] = {}
    for place, words in enumerate(
        label_choice.label_words(_telling(sample, labels, parts, bags, forms), bags.words, forms)
    ):
        chosen[keywords.label(words, chosen, place + 1, phrases)] = None
    return list(chosen)


def _with_cuts(sample: Sample, topics: Sequence[Fitted]) -> list[Fitted]:
    """Give topics their sizes and cuts: the scores below which a text is an outlier, with a dense vector and without."""
    if not sample.words:
        return list(topics)
    rule = Topics([fitted.topic for fitted in topics])
    scores = rule.scores(sample.dense, sample.words)
    best, score = scores.argmax(axis=1), scores.max(axis=1)
    place = {topic.id: number for number, topic in enumerate(rule.points)}
    has_dense = np.array([vector is not None for vector in sample.dense])
    has_words = np.array([vector is not None for vector in sample.words])
    result = []
    for fitted in topics:
        mine = best == place[fitted.topic.id]
        cut = _cut(score[mine & has_dense]), _cut(score[mine & ~has_dense & has_words])
        result.append(replace(fitted, topic=replace(fitted.topic, cut=cut), size=int(mine.sum())))
    return result


def _cut(scores: np.ndarray) -> float:
    """Return the cut for member scores; it is above zero, so a text that shares nothing with any topic is an outlier."""
    return max(OUTLIER_SHARE * float(np.median(scores)), 1e-6) if len(scores) else 1e-6
