"""Plans the popular items, for users about whom nothing else is known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from qdrant_client import models

from llmrec_qdrant.contracts.answers import POPULAR
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.plan import Plan
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.query import requests
from llmrec_qdrant.query.options import MAX_LIMIT
from llmrec_qdrant.space.conditions import all_of, none_of, one_of
from llmrec_qdrant.space.layout import DENSE, Key

__all__ = ["plan_popular"]

MAX_DISLIKED = 50
"""Latest disliked items that the popular ones are compared with."""


def plan_popular(
    bound: Bound, filter: models.Filter | None, disliked: Sequence[str], why: str, only: bool
) -> Steps[Plan]:
    """Plan the popular items; those close in meaning to what the user ``disliked`` come last.

    ``only``: the user has liked nothing so far, so the topics of the disliked items are left out, too.
    """
    points = bound.item_points(disliked[:MAX_DISLIKED])
    known = yield from calls.retrieve(bound.space.items, points, [Key.TOPIC_IDS], [DENSE])
    topics = sorted({str(topic) for point in known for topic in point.get(Key.TOPIC_IDS, [])[:1]})
    if topics and only:
        filter = all_of(filter, none_of(one_of(Key.TOPIC_IDS, topics)))
    rows = [row for point in known if (row := point.dense(DENSE)) is not None]
    mean = np.mean(rows, axis=0) if rows else np.zeros(1)
    build = partial(requests.top_unlike, [float(x) for x in mean]) if mean.any() else requests.top
    return Plan(lambda depth: build(filter, depth), MAX_LIMIT, filter=filter, reason=f"{POPULAR}{why}")
