"""Writes the topics of a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from qdrant_client import models

from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import DENSE, TFIDF, Key
from llmrec_qdrant.space.points import new_point

from ..items import assign
from ..items.topic_rule import TopicPoint
from ..storage.store import SpaceStore
from .fit import Fitted
from .record import Run

__all__ = ["write_topics"]

TOPICS_PER_WRITE = 50
"""Topics per write."""


def write_topics(version: SpaceStore, live: SpaceStore, run: Run, tenant: str, fitted: Sequence[Fitted]) -> None:
    """Write the topics of a tenant. Leave the labels of existing topics alone unless the fit renews them: an admin may be editing them."""
    existing = _by_id(version, tenant)
    named = existing if version.space == live.space else _by_id(live, tenant)
    for batch in batches([topic for topic in fitted if topic.topic.id not in existing], TOPICS_PER_WRITE):
        version.topics.upsert([_new(_named(topic, named), run) for topic in batch])
    same = [topic for topic in fitted if topic.topic.id in existing]
    for batch in batches(same, TOPICS_PER_WRITE):
        vectors = {_point(topic): named_vectors for topic in batch if (named_vectors := _vectors(topic.topic))}
        then = [(_payload(topic, run), conditions.only(_point(topic))) for topic in batch]
        other = [topic for topic in batch if existing[topic.topic.id].label != topic.topic.label]
        then += [_renewal(topic) for topic in other if topic.renewed or version.space != live.space]
        version.topics.write_existing(vectors, then=then)
    blind = [
        _point(topic) for topic in same if topic.topic.dense is None and existing[topic.topic.id].dense is not None
    ]
    if blind:
        version.topics.delete_vectors([DENSE], conditions.only(*blind))


def _renewal(fitted: Fitted) -> tuple[dict[str, Any], models.Filter]:
    """Return the new label of an existing topic, and the condition that no person has chosen its label meanwhile."""
    unchosen = conditions.none_of(conditions.equals(Key.LABEL_BY, "admin"))
    values = {Key.LABEL: fitted.topic.label, Key.LABEL_BY: fitted.topic.label_by}
    return values, conditions.where(conditions.has_id(_point(fitted)), unchosen)


def _by_id(space: SpaceStore, tenant: str) -> dict[str, TopicPoint]:
    return {topic.id: topic for topic in assign.read_points(space, tenant)}


def _new(fitted: Fitted, run: Run) -> models.PointStruct:
    topic = fitted.topic
    values = {Key.LABEL: topic.label, **_payload(fitted, run), Key.LABEL_BY: topic.label_by, Key.TENANT: topic.tenant}
    return new_point(_point(fitted), values, _vectors(topic))


def _named(fitted: Fitted, named: Mapping[str, TopicPoint]) -> Fitted:
    """Give a topic the label that it has in the live version."""
    twin = named.get(fitted.topic.id)
    if twin is None:
        return fitted
    return replace(fitted, topic=replace(fitted.topic, label=twin.label, label_by=twin.label_by))


def _point(fitted: Fitted) -> str:
    return point_id("topic", fitted.topic.id)


def _vectors(topic: TopicPoint) -> dict[str, Any]:
    vectors: dict[str, Any] = {} if topic.dense is None else {DENSE: topic.dense.tolist()}
    if topic.words:
        vectors[TFIDF] = models.SparseVector(indices=list(topic.words), values=list(topic.words.values()))
    return vectors


def _payload(fitted: Fitted, run: Run) -> dict[str, Any]:
    topic = fitted.topic
    return {
        Key.KEYWORDS: list(topic.keywords), Key.SIZE: fitted.size, Key.THEME: topic.theme, Key.EXAMPLES: fitted.examples, Key.TOPIC_ID: topic.id,
        Key.UPDATED_AT: now(), Key.CUT: [round(value, 6) for value in topic.cut], Key.FIT: run.run,
    }  # fmt: skip
