"""Caches the topics of a space per process, tenant by tenant, and assigns items to them. Never fits topics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from qdrant_client import models

from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import DENSE, TFIDF, TOPICS_EDITED, TOPICS_FIT, Key
from llmrec_qdrant.space.points import Point
from llmrec_qdrant.space.shapes import record

from ..storage.store import SpaceStore
from .topic_rule import TopicPoint, Topics, mark

__all__ = ["SpaceTopics", "load", "read_fit", "read_points"]

MAX_TENANTS = 64
"""Tenants per space whose topics a process caches."""
MAX_SPACES = 32
"""Spaces whose topics a process caches."""


class SpaceTopics:
    """The topics of one version of a space; a tenant's topics are read when first needed."""

    def __init__(self, read: Callable[[str], Sequence[TopicPoint]], fit: str = "", done: str = "") -> None:
        self._read = read
        self._rules: dict[str, tuple[Topics, Mapping[str, TopicPoint]]] = {}
        self.fit = fit
        """The fit from which items get their topics."""
        self.done = done
        """The last completed fit, from which users get their interests."""

    def of(self, tenant: str) -> Topics:
        """Return the assignment rule of a tenant, made of its topics of the newest fit."""
        return self._known(tenant)[0]

    def by_id(self, tenant: str) -> Mapping[str, TopicPoint]:
        """Return every topic of a tenant by id; while items are being marked, this includes their earlier topics."""
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
        """Return for each item the payload values that name its topic; empty dicts before the first fit.

        The arguments are parallel: tenant, dense vector and tfidf vector of each item; a missing vector is None.
        """
        marks: list[dict[str, Any]] = [{} for _ in tenants]
        for tenant in dict.fromkeys(tenants) if self.fit else ():
            items = [item for item, owner in enumerate(tenants) if owner == tenant]
            topics = self.of(tenant).assign([dense[item] for item in items], [words[item] for item in items])
            for item, topic in zip(items, topics, strict=True):
                marks[item] = mark(topic, self.fit)
        return marks


def read_fit(space: SpaceStore) -> dict[str, Any]:
    """Return the record of the last fit, empty if there was none; see :mod:`workers.topics.record`."""
    return record(space.items.metadata(), TOPICS_FIT)


_CACHE: dict[tuple[int, str, int | None], tuple[object, SpaceTopics]] = {}


def load(space: SpaceStore) -> SpaceTopics:
    """Return the topics of a version of a space; read again after a new fit or an edited label."""
    metadata = space.items.metadata()
    state = record(metadata, TOPICS_FIT)
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
    """Read every stored topic of a tenant."""
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
        theme=point.get(Key.THEME, ""),
    )
