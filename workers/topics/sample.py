"""Reads the sample of items that a fit of topics clusters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import DENSE, TFIDF, Key
from llmrec_qdrant.space.points import Point

from ..items import boilerplate
from ..items.embed import source_text
from ..storage.store import SpaceStore
from ..text import words
from ..text.boilerplate import Boilerplate
from .fit import MAX_TITLE_LENGTH, Sample
from .marking import CLUSTERED_LEGS

__all__ = ["read_sample"]

MAX_SAMPLE = 20_000
"""Items clustered per tenant; all others are assigned by the rule of :mod:`workers.items.topic_rule`."""
MAX_ITEM_TERMS = 300
"""Words read of one item."""


def read_sample(version: SpaceStore, live: SpaceStore, tenant: str) -> Sample:
    """Read a sample of a tenant's items, with the topics they have in the ``live`` version.

    Point ids are digests, so the first points are a random sample.
    """
    stemmer, left_out = version.config().stemmer, boilerplate.load(live)
    sample = Sample([], [], [], [], [], tenant)
    mine = conditions.where(conditions.equals(Key.TENANT, tenant), conditions.equals(Key.STALE, False))
    for page in version.items.pages(mine, [Key.TITLE, Key.TEXT, Key.TOPIC_IDS, Key.ITEM_ID], CLUSTERED_LEGS):
        earlier = _topics_of(page if version.space == live.space else _twins(live, page))
        for point in page:
            _add(sample, point, stemmer, left_out, earlier.get(point.id))
        if len(sample.terms) >= MAX_SAMPLE:
            break
    return sample


def _add(sample: Sample, point: Point, stemmer: str, left_out: Boilerplate, topic: str | None) -> None:
    dense = point.dense(DENSE)
    sample.terms.append(words.terms(source_text(point.payload, left_out), stemmer)[:MAX_ITEM_TERMS])
    sample.dense.append(None if dense is None else np.asarray(dense, dtype=np.float32))
    sample.words.append(point.sparse(TFIDF))
    sample.titles.append((point.get(Key.TITLE) or point.get(Key.ITEM_ID, ""))[:MAX_TITLE_LENGTH])
    sample.before.append(topic)


def _twins(live: SpaceStore, page: Sequence[Point]) -> list[Point]:
    return live.items.retrieve([point.id for point in page], [Key.TOPIC_IDS])


def _topics_of(points: Sequence[Point]) -> dict[str, str]:
    """Return point id → topic id, for points with a topic."""
    return {point.id: topics[0] for point in points if (topics := point.get(Key.TOPIC_IDS))}
