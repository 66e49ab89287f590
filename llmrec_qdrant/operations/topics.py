"""Lists, finds, renames and fits the topics of a space, and lists their items."""

from __future__ import annotations

import unicodedata
from functools import partial
from typing import Any

from llmrec_qdrant.contracts.answers import MAX_LABEL, MAX_TOPICS, Recommendation, Topic
from llmrec_qdrant.contracts.jobs import FitTopicsOptions, JobStatus
from llmrec_qdrant.contracts.plain import plain
from llmrec_qdrant.errors import InvalidInput, NotFound, show
from llmrec_qdrant.operations import calls, jobs
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.operations.plan import item_filter
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.versions import on_every_version
from llmrec_qdrant.query import pages, requests, results
from llmrec_qdrant.query.options import MAX_LIMIT, ListOptions
from llmrec_qdrant.space.conditions import all_of, equals, where
from llmrec_qdrant.space.layout import TOPICS_EDITED, Key
from llmrec_qdrant.space.points import Point

__all__ = ["find_topic", "fit_topics", "list_topics", "rename_topic", "topic_items"]

TOPICS_PER_PAGE = 256
"""Topics per page of a scroll."""


def list_topics(bound: Bound) -> Steps[list[Topic]]:
    """Return the topics, or those of the tenant, largest first."""
    topics: list[Topic] = []
    offset: Any = None
    while True:
        page, offset = yield from calls.scroll(bound.space.topics, bound.mine, limit=TOPICS_PER_PAGE, offset=offset)
        topics += [_topic(point) for point in page]
        if offset is None:
            return sorted(topics, key=lambda topic: (-topic.size, int(topic.id)))


def _topic(point: Point) -> Topic:
    return Topic(
        id=point.payload[Key.TOPIC_ID],
        label=point.payload[Key.LABEL],
        keywords=point.get(Key.KEYWORDS, []),
        size=point.get(Key.SIZE, 0),
        examples=point.get(Key.EXAMPLES, []),
        label_by=point.get(Key.LABEL_BY, "keywords"),
        tenant=point.get(Key.TENANT, ""),
    )


def find_topic(bound: Bound, topic: str) -> Steps[Topic]:
    """Return the topic with this id, or else the one with this label.

    Raises :class:`NotFound` if there is neither.
    """
    value: object = plain(topic)
    wanted = _composed(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    topics = yield from list_topics(bound)
    matches = [known for known in topics if known.id == wanted]
    matches = matches or [known for known in topics if _composed(known.label) == wanted]
    if matches:
        return matches[0]
    raise NotFound(
        f"space {bound.space.name!r} has no topic {show(value)}: `llmrec topics` lists ids and labels, "
        "`llmrec topics fit` discovers topics"
    )


def _composed(text: str) -> str:
    """Return a text in one form, whether accented letters were typed as one character or two."""
    return unicodedata.normalize("NFC", text)
