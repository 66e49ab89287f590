"""Assigns every item to its topic, and completes a fit with sizes and labels."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from qdrant_client import models

from llmrec_qdrant.operations.clock import iso, present
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import DENSE, TFIDF, TOPICS_EDITED, Key
from llmrec_qdrant.space.points import Point, set_payload
from llmrec_qdrant.space.shapes import record

from ..items import assign
from ..storage.lease import Lease
from ..storage.observed import Observed
from ..storage.store import SpaceStore
from .record import MAX_FACET, Run, check, unmarked, write

__all__ = ["CLUSTERED_LEGS", "finish", "lately_edited", "mark", "mend_labels"]

log = logging.getLogger("llmrec.worker")

CLUSTERED_LEGS = (DENSE, TFIDF)
"""Vectors by which items are clustered and assigned to topics."""
MARKING_SECONDS = 60.0
"""Seconds of marking per message: other messages wait for it where one worker serves every queue."""
MAX_LABEL_AGE = 300.0
"""Seconds during which a worker may still cache a label that has been edited."""
MAX_EDIT_AGE = timedelta(days=1)
"""Age of the last edit, by the clock of whoever edited, above which a process that first hears of it lets it be."""
_edits = Observed()
"""Collection → time of the last edit of a label."""


def mark(lease: Lease, space: SpaceStore, run: Run) -> bool:
    """Assign every item whose text is unchanged to its topic; returns False if time ran out before all were done."""
    end = time.monotonic() + MARKING_SECONDS
    done, total = 0, space.items.count(unmarked(run))
    for page in space.items.raw.pages(unmarked(run), [Key.TENANT, Key.SRC_HASH], CLUSTERED_LEGS):
        check(space, run)
        space.items.update(_marks(space, page))
        done += len(page)
        lease.advance()
        lease.report("marking items", done, total)
        if time.monotonic() > end:
            return False
    return True


def _marks(space: SpaceStore, page: Sequence[Point]) -> list[Any]:
    """Return the operations that assign these items to topics; items with the same topics share one operation.

    An item without a proper digest is malformed: it is marked all the same, so that the fit comes to an end.
    """
    topics = assign.load(space)  # page by page: a label may have changed
    owners = [str(point.get(Key.TENANT, "")) for point in page]
    dense, words = [point.dense(DENSE) for point in page], [point.sparse(TFIDF) for point in page]
    groups: dict[str, tuple[Mapping[str, Any], list[Point]]] = {}
    for point, values in zip(page, topics.marks(owners, dense, words), strict=True):
        groups.setdefault(str(values), (values, []))[1].append(point)
    return [
        operation
        for values, points in groups.values()
        for condition in _these(points)
        for operation in set_payload(values, condition)
    ]


def _these(points: Sequence[Point]) -> Iterator[models.Filter]:
    """Match items while their texts are those that were read."""
    hashes = [digest for point in points if isinstance(digest := point.get(Key.SRC_HASH), str)]
    without = [point.id for point in points if not isinstance(point.get(Key.SRC_HASH), str)]
    if hashes:
        yield conditions.where(conditions.one_of(Key.SRC_HASH, hashes))
    if without:
        yield conditions.only(*without)


def finish(space: SpaceStore, run: Run) -> None:
    """Delete the topics of other fits, write sizes and labels, and record that the fit is complete."""
    check(space, run)
    space.topics.delete(conditions.none_of(conditions.equals(Key.FIT, run.run)))
    for tenant in space.topics.facet(Key.TENANT, limit=MAX_FACET):
        _write_sizes(space, run, tenant)
    mend_labels(space)
    items = space.items.count()
    check(space, run)
    write(space, replace(run, stage="done", done=run.run, items=items))
    log.info("fitted %d topics of %s", run.made, space.items.collection)


def _write_sizes(space: SpaceStore, run: Run, tenant: str) -> None:
    """Write the number of items of each topic; leave the topics of a newer fit alone."""
    mine = conditions.where(conditions.equals(Key.TENANT, tenant))
    sizes = space.items.facet(Key.TOPIC_IDS, mine, limit=MAX_FACET, exact=True)
    for page in space.topics.pages(mine, [Key.TOPIC_ID]):
        operations: list[Any] = []
        for point in page:
            own = conditions.where(conditions.has_id(point.id), conditions.equals(Key.FIT, run.run))
            operations += set_payload({Key.SIZE: sizes.get(point.payload[Key.TOPIC_ID], 0)}, own)
        space.topics.update(operations)


def mend_labels(space: SpaceStore) -> None:
    """Write the labels of edited topics to their items: a worker may have used a cached label after the edit."""
    edited = conditions.where(conditions.one_of(Key.LABEL_BY, ["admin", "llm"]))
    for page in space.topics.pages(edited, [Key.TOPIC_ID, Key.LABEL]):
        for point in page:
            label = point.payload[Key.LABEL]
            mine = conditions.equals(Key.TOPIC_IDS, point.payload[Key.TOPIC_ID])
            other = conditions.where(mine, conditions.none_of(conditions.equals(Key.TOPICS, label)))
            space.items.set_payload({Key.TOPICS: [label]}, other)


def lately_edited(space: SpaceStore) -> bool:
    """Whether a label was edited so recently that a worker may still cache the old one."""
    edited_at = str(record(space.items.metadata(), TOPICS_EDITED).get("at") or "")
    return (
        edited_at > iso(present() - MAX_EDIT_AGE) and _edits.seconds(space.items.collection, edited_at) < MAX_LABEL_AGE
    )
