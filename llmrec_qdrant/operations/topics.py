"""Lists, finds, renames and fits the topics of a space, and lists their items."""

from __future__ import annotations

import unicodedata
from functools import partial
from typing import Any

from llmrec_qdrant.contracts.answers import MAX_LABEL, MAX_TOPICS, LabelBy, Recommendation, Topic
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
from llmrec_qdrant.space.shapes import fault

__all__ = ["find_topic", "fit_topics", "list_topics", "name_topic", "read_topic", "rename_topic", "topic_items"]

TOPICS_PER_PAGE = 256
"""Topics per page of a scroll."""


def list_topics(bound: Bound) -> Steps[list[Topic]]:
    """Return the topics, or those of the tenant, largest first."""
    topics: list[Topic] = []
    offset: Any = None
    while True:
        page, offset = yield from calls.scroll(bound.space.topics, bound.mine, limit=TOPICS_PER_PAGE, offset=offset)
        topics += [read_topic(point) for point in page if not fault("topics", point.payload)]
        if offset is None:
            return sorted(topics, key=lambda topic: (-topic.size, int(topic.id)))


def read_topic(point: Point) -> Topic:
    """Return a stored topic."""
    return Topic(
        id=point.payload[Key.TOPIC_ID],
        label=point.payload[Key.LABEL],
        keywords=point.get(Key.KEYWORDS, []),
        size=point.get(Key.SIZE, 0),
        theme=point.get(Key.THEME, ""),
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


def topic_items(bound: Bound, topic: str, options: ListOptions) -> Steps[list[Recommendation]]:
    """Return the items of a topic, most popular first.

    Raises :class:`NotFound` for an unknown topic.
    """
    known = yield from find_topic(bound, topic)
    inside = all_of(item_filter(bound, options), where(equals(Key.TOPIC_IDS, known.id)))
    listed = requests.top(inside, options.limit)
    request = pages.page(lambda _: listed, MAX_LIMIT, options.offset, options.limit)
    points = yield from calls.query(bound.space.items, [request])
    return results.by_popularity(points[0], f"in topic {known.label}")


def _composed(text: str) -> str:
    """Return a text in one form, whether accented letters were typed as one character or two."""
    return unicodedata.normalize("NFC", text)


def rename_topic(bound: Bound, topic: str, label: str) -> Steps[Topic]:
    """Rename a topic; every refit keeps the new label.

    Raises :class:`NotFound` for an unknown topic, :class:`InvalidInput` for a label that cannot be shown or is taken, and for
    a theme, which keeps the name that the fit gave it.
    """
    value: object = label
    clean = _composed(" ".join(value.split())) if isinstance(value, str) else ""
    if not 1 <= len(clean) <= MAX_LABEL or any(unicodedata.category(letter)[0] == "C" for letter in clean):
        raise InvalidInput(f"a label must have 1 to {MAX_LABEL} visible characters, not {show(value)}")
    topics = yield from list_topics(bound)
    try:
        known = yield from find_topic(bound, topic)
    except NotFound:
        theme = _composed(str(topic))
        if inside := sorted((other.id for other in topics if other.theme == theme), key=int):
            raise InvalidInput(
                f"{show(theme)} is a theme, which cannot be renamed: a fit names it; rename its topics instead ({', '.join(inside)})"
            ) from None
        raise
    if any(other.label == clean and other.id != known.id and other.tenant == known.tenant for other in topics):
        raise InvalidInput(f"another topic has the label {clean!r}: choose a different one")
    yield from on_every_version(bound.space, partial(_rename_at, bound, known.id, clean))
    return known.model_copy(update={Key.LABEL: clean, Key.LABEL_BY: "admin"})


def name_topic(bound: Bound, topic: Topic, name: str) -> Steps[bool]:
    """Give a topic that is named by its keywords the name of a language model; returns whether it has it.

    A name that another topic of the tenant has is not used, and neither is one for a topic that an admin renamed meanwhile.
    """
    topics = yield from list_topics(bound)
    same = [other for other in topics if other.tenant == topic.tenant]
    if any(other.label == name for other in same) or not any(
        other.id == topic.id and other.label_by == "keywords" for other in same
    ):
        return False
    yield from on_every_version(bound.space, partial(_rename_at, bound, topic.id, name, by="llm"))
    return True


def _rename_at(bound: Bound, topic: str, label: str, version: int, by: LabelBy = "admin") -> Steps[None]:
    """Record the edit before and after it: workers read the topics again, and repair what a crash left undone."""
    space = bound.space.at(version)
    edit = {Key.LABEL: label, Key.LABEL_BY: by, Key.UPDATED_AT: now()}
    changed = where(equals(Key.TOPIC_ID, topic))
    if by == "llm":  # an admin may rename it at the same time
        changed = where(equals(Key.TOPIC_ID, topic), equals(Key.LABEL_BY, "keywords"))
    yield from calls.update_metadata(space.items, {TOPICS_EDITED: {"at": now()}})
    yield from calls.update_payload(space.topics, edit, changed)
    yield from calls.update_metadata(space.items, {TOPICS_EDITED: {"at": now()}})
    points, _ = yield from calls.scroll(space.topics, where(equals(Key.TOPIC_ID, topic)), limit=1, payload=[Key.LABEL])
    for point in points:
        mine = where(equals(Key.TOPIC_IDS, topic))
        yield from calls.update_payload(space.items, {Key.TOPICS: [point.payload[Key.LABEL]]}, mine)


def fit_topics(bound: Bound, number: int | None, inline: bool) -> Steps[JobStatus]:
    """Start a job that discovers the topics of the space; see :func:`llmrec_qdrant.operations.jobs.start`.

    Raises :class:`InvalidInput` for an impossible ``number`` of topics.
    """
    if number is not None and (type(number) is not int or not 2 <= number <= MAX_TOPICS):
        raise InvalidInput(
            f"topics must be a whole number from 2 to {MAX_TOPICS}, or left out for the data to decide, not {show(number)}"
        )
    return (yield from jobs.start(bound.space, FitTopicsOptions(topics=number), inline))
