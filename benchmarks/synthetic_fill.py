"""Writes a synthetic catalogue into a space, and times the writes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from qdrant_client import models

from benchmarks.synthetic import CONFIG, FIT, Catalogue
from llmrec_qdrant.operations.batching import POINTS_PER_REQUEST, batches
from llmrec_qdrant.operations.creating import create
from llmrec_qdrant.space.layout import COLLAB_FIT
from workers.storage.store import SpaceStore, Store
from workers.topics import record
from workers.topics.writing import write_topics

__all__ = ["Loaded", "fill"]


@dataclass
class Loaded:
    """Points written to a collection, and the seconds that the writes took."""

    points: int = 0
    seconds: float = 0.0

    def write(self, store: Store, points: Sequence[models.PointStruct]) -> None:
        began = time.perf_counter()
        store.upsert(points)
        self.seconds += time.perf_counter() - began
        self.points += len(points)


def fill(space: SpaceStore, catalogue: Catalogue) -> dict[str, Loaded]:
    """Create the space and write everything, with one stream of writes, each durable before the next."""
    space.run(create(space.space, CONFIG))
    loaded = {kind: Loaded() for kind in ("items", "users", "events", "texts")}
    run = record.Run(run=FIT, stage="done", done=FIT, items=catalogue.items)
    for tenant, topics in catalogue.topics.items():
        write_topics(space, space, run, tenant, topics)
    for batch in batches(catalogue.item_points(), POINTS_PER_REQUEST):
        loaded["items"].write(space.items, batch)
    for users in batches(catalogue.user_points(), POINTS_PER_REQUEST // 4):
        loaded["users"].write(space.users, [user for user, _ in users])
        for batch in batches((event for _, events in users for event in events), POINTS_PER_REQUEST):
            loaded["events"].write(space.events, batch)
    for texts in batches(catalogue.query_points(), POINTS_PER_REQUEST):
        loaded["texts"].write(space.texts, texts)
    made, tenants = sum(map(len, catalogue.topics.values())), sum(map(bool, catalogue.topics.values()))
    last = max((int(topic.topic.id) for topics in catalogue.topics.values() for topic in topics), default=0)
    record.write(
        space, record.Run(run=FIT, stage="done", done=FIT, last=last, items=catalogue.items, tenants=tenants, made=made)
    )
    fitted = {
        "events": loaded["events"].points, "items": catalogue.items, "fitting": CONFIG.fitting, "at": catalogue.at,
    }  # fmt: skip
    space.items.update_metadata({COLLAB_FIT: fitted})
    return loaded
