"""Matches the topics of a fit with the topics before it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..items.topic_rule import TopicPoint

__all__ = ["matched"]

MIN_SIMILARITY = 0.5
"""Similarity from which a new topic continues an old one."""


def matched(
    new: Sequence[TopicPoint], old: Sequence[TopicPoint], labels: np.ndarray, before: Sequence[str | None]
) -> dict[int, int]:
    """Match new topics with old ones; returns the index of a new topic → the index of the old topic that it continues.

    The similarity of two topics is Dice's coefficient of their members among the texts clustered both times, or the cosine
    of their word weights if there are none. The assignment with the greatest sum wins (Kuhn 1955); pairs less similar than
    ``MIN_SIMILARITY`` do not match.
    """
    if not new or not old:
        return {}
    from scipy.optimize import linear_sum_assignment

    similarity = np.zeros((len(new), len(old)))
    past = np.array([topic or "" for topic in before] if len(before) else [""] * len(labels))
    both = (past != "") & (labels >= 0)
    for row in range(len(new)):
        for column, other in enumerate(old):
            members, old_members = both & (labels == row), both & (past == other.id)
            total = int(members.sum() + old_members.sum())
            dice = 2 * int((members & old_members).sum()) / total if total else 0.0
            similarity[row, column] = max(dice, _cosine(new[row].words, other.words) if not total else 0.0)
    rows, columns = linear_sum_assignment(-similarity)
    return {int(r): int(c) for r, c in zip(rows, columns, strict=True) if similarity[r, c] >= MIN_SIMILARITY}


def _cosine(left: Mapping[int, float], right: Mapping[int, float]) -> float:
    shared = sum(value * right[index] for index, value in left.items() if index in right)
    norms = math.sqrt(sum(v * v for v in left.values())) * math.sqrt(sum(v * v for v in right.values()))
    return shared / norms if norms else 0.0
