"""Merges topics, and splits a topic, by hand."""

from __future__ import annotations

from collections.abc import Sequence

from llmrec_qdrant.contracts.answers import MAX_TOPICS, Topic
from llmrec_qdrant.contracts.jobs import FitTopicsOptions, JobStatus
from llmrec_qdrant.errors import InvalidInput, show
from llmrec_qdrant.operations import jobs
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.topics import find_topic, list_topics

__all__ = ["merge_topics", "split_topic"]


def merge_topics(bound: Bound, topics: Sequence[str], inline: bool) -> Steps[JobStatus]:
    """Start a job that merges topics into the first one that a person named, or else into the first.

    Raises :class:`NotFound` for an unknown topic; :class:`InvalidInput` for fewer than two topics, for topics of several
    tenants, and if no other topic would remain; :class:`SpaceMismatch` while another fit is under way.
    """
    value: object = topics
    if not isinstance(value, list | tuple):
        raise InvalidInput(f"topics must be a list of ids or labels, not {show(value)}")
    chosen: dict[str, Topic] = {}
    for name in topics:
        topic = yield from find_topic(bound, name)
        chosen[topic.id] = topic
    if len(chosen) < 2:
        raise InvalidInput(f"a merge takes two topics or more, not {show(value)}")
    tenants = {topic.tenant for topic in chosen.values()}
    if len(tenants) > 1:
        raise InvalidInput("topics of different tenants cannot be merged: each tenant has topics of its own")
    known = yield from list_topics(bound)
    if not any(topic.id not in chosen and topic.tenant in tenants for topic in known):
        raise InvalidInput(
            "these are all the topics there are: at least two must remain, since a single one tells nothing apart"
        )
    ids = [topic.id for topic in sorted(chosen.values(), key=lambda topic: topic.label_by != "admin")]
    return (yield from jobs.start(bound.space, FitTopicsOptions(merge=ids), inline))


def split_topic(bound: Bound, topic: str, into: int, inline: bool) -> Steps[JobStatus]:
    """Start a job that splits a topic; the largest part keeps its id and label.

    Raises :class:`NotFound` for an unknown topic; :class:`InvalidInput` for an impossible number of parts;
    :class:`SpaceMismatch` while another fit is under way.
    """
    known = yield from find_topic(bound, topic)
    existing = yield from list_topics(bound)
    room = MAX_TOPICS + 1 - sum(other.tenant == known.tenant for other in existing)
    if type(into) is not int or not 2 <= into <= room:
        raise InvalidInput(f"into must be a whole number from 2 to {room}, not {show(into)}")
    return (yield from jobs.start(bound.space, FitTopicsOptions(split=known.id, into=into), inline))
