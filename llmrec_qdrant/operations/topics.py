"""TODO: llmrec_qdrant.operations.topics."""

from __future__ import annotations

import unicodedata
from functools import partial
from typing import Any

from qdrant_client import models

from llmrec_qdrant.contracts.answers import MAX_LABEL, MAX_TOPICS, Topic
from llmrec_qdrant.contracts.messages import FitTopics
from llmrec_qdrant.errors import InvalidInput, NotFound, show
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.operations.steps import Steps, call, notify
from llmrec_qdrant.operations.versions import on_every_version
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import TOPICS_EDITED, Key

__all__ = ["fit", "listed", "rename"]


def fit(bound: Bound, number: int | None) -> Steps[bool]:
    """Have the topics of the space found; False if no worker could be told."""
    if number is not None and (type(number) is not int or not 2 <= number <= MAX_TOPICS):
        raise InvalidInput(f"topics is a whole number from 2 to {MAX_TOPICS}, or left out, not {show(number)}")
    return (yield from notify([FitTopics(space=bound.space.name, topics=number)]))


def listed(bound: Bound) -> Steps[list[Topic]]:
    """The topics, largest first; of the tenant, if bound to one."""
    found: list[Topic] = []
    offset: Any = None
    mine = conditions.tenant_filter(bound.tenant)
    while True:
        page, offset = yield from call(
            "scroll", collection_name=bound.space.topics, scroll_filter=mine, limit=256, offset=offset,
            with_payload=True,
        )  # fmt: skip
        found += [_topic(record.payload or {}) for record in page]
        if offset is None:
            return sorted(found, key=lambda one: (-one.size, int(one.id)))


def _topic(payload: dict[str, Any]) -> Topic:
    return Topic(
        id=payload[Key.TOPIC_ID],
        label=payload[Key.LABEL],
        keywords=payload.get(Key.KEYWORDS) or [],
        size=payload.get(Key.SIZE) or 0,
        examples=payload.get(Key.EXAMPLES) or [],
        label_by=payload.get(Key.LABEL_BY) or "keywords",
        tenant=payload.get(Key.TENANT) or "",
    )


def _known(bound: Bound, topic: str) -> Steps[Topic]:
    """A topic by its id or, if that names none, by its label."""
    given: object = topic
    wanted = str(given) if isinstance(given, str | int) and not isinstance(given, bool) else ""
    all_topics = yield from listed(bound)
    for one in all_topics:
        if one.id == wanted:
            return one
    for one in all_topics:
        if one.label == wanted:
            return one
    raise NotFound(
        f"there is no topic {show(given)} in space {bound.space.name!r}: `llmrec topics` lists ids and labels; "
        "`llmrec topics fit` finds topics"
    )


def rename(bound: Bound, topic: str, label: str) -> Steps[Topic]:
    """Give a topic a label of your own; it survives every refit.

    Raises :class:`NotFound`, or :class:`InvalidInput` for a label that cannot be shown or is taken.
    """
    given: object = label
    clean = " ".join(given.split()) if isinstance(given, str) else ""
    if not 1 <= len(clean) <= MAX_LABEL or any(unicodedata.category(c)[0] == "C" for c in clean):
        raise InvalidInput(f"a label has 1 to {MAX_LABEL} characters that can be seen, not {show(given)}")
    found = yield from _known(bound, topic)
    others = yield from listed(bound)
    if any(one.label == clean and one.id != found.id and one.tenant == found.tenant for one in others):
        raise InvalidInput(f"another topic is called {clean!r}: choose another label")
    yield from on_every_version(bound.space, partial(_rename_at, bound, found.id, clean))
    return found.model_copy(update={Key.LABEL: clean, Key.LABEL_BY: "admin"})


def _rename_at(bound: Bound, topic: str, label: str, version: int) -> Steps[None]:
    space = bound.space.at(version)
    which = models.Filter(must=[_is(Key.TOPIC_ID, topic)])
    named = {Key.LABEL: label, Key.LABEL_BY: "admin", Key.UPDATED_AT: now()}
    yield from call("set_payload", collection_name=space.topics, payload=named, points=which, wait=True)
    stamp = {TOPICS_EDITED: {"at": now()}}  # workers read the topics again
    yield from call("update_collection", collection_name=space.items, metadata=stamp)
    members = models.Filter(must=[_is(Key.TOPIC_IDS, topic)])
    yield from call(
        "set_payload", collection_name=space.items, payload={Key.TOPICS: [label]}, points=members, wait=True
    )


def _is(key: str, value: str) -> models.FieldCondition:
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))
