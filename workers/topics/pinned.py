"""Topics that a person named or made: every fit keeps them, whatever it discovers beside them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ..items.topic_rule import TopicPoint

__all__ = ["added", "free_number", "held_rows", "split_old"]


def split_old(old: Sequence[TopicPoint], kept: Collection[str] = ()) -> tuple[list[TopicPoint], list[TopicPoint]]:
    """Return the topics that a person named or that are ``kept`` (ids), and the others."""
    stays = [topic.label_by == "admin" or topic.id in kept for topic in old]
    pinned = [topic for topic, mine in zip(old, stays, strict=True) if mine]
    return pinned, [topic for topic, mine in zip(old, stays, strict=True) if not mine]


def held_rows(before: Sequence[str | None], pinned: Sequence[TopicPoint]) -> Any:
    """Return a mask of the texts that belong to a pinned topic; these are not clustered again."""
    ids = {topic.id for topic in pinned}
    return np.array([topic in ids for topic in before], dtype=bool)


def free_number(before: Sequence[str | None], old: Sequence[TopicPoint], grown: int) -> int:
    """Return how many topics to look for among the texts that no pinned topic holds: those that were there, and ``grown``."""
    return len({topic.id for topic in old} & set(before)) + grown


def added(labels: Any, before: Sequence[str | None], pinned: Sequence[TopicPoint]) -> Any:
    """Return the cluster of each text with one more cluster for each pinned topic that has texts.

    >>> topic = TopicPoint("7", "", "mine", "admin")
    >>> added(np.array([0, -1, 1, -1]), [None, "7", None, "3"], [topic]).tolist()
    [0, 2, 1, -1]
    """
    labels = labels.copy()
    for topic in pinned:
        rows = np.array([known == topic.id for known in before], dtype=bool)
        if rows.any():
            labels[rows] = labels.max(initial=-1) + 1
    return labels
