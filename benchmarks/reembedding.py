"""Re-embeds a catalogue while it changes; the outcome must equal a fresh build of the final catalogue.

``python -m benchmarks.reembedding --items 20000`` loads a catalogue with users into a real Qdrant and starts a re-embedding to
another dimension in a real Celery worker. Meanwhile it edits a tenth of the items, deletes a fiftieth, tracks events and
forgets users; then it waits for the switch. A second space is built from the final catalogue and events, and all points are
compared: payload and vectors of every leg, including users. Last line: ``items=… users=… events=… differences=…``; the exit
code is 1 unless there are none.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import warnings
from contextlib import ExitStack
from typing import Any

import numpy as np
from qdrant_client import models

from benchmarks.chaos import Clock, everything
from llmrec_qdrant import Event, Item, Recommender, SpaceConfig, WorkPendingWarning
from llmrec_qdrant.contracts.messages import FitCollab
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import flat
from tests.services import CeleryWorker, QdrantServer, RedisServer
from workers.dispatch import Worker
from workers.storage.store import SpaceStore
from workers.text.idf import MAX_COUNTS_AGE

WORDS = ["space", "war", "garden", "love", "robot", "river", "cooking", "piano", "科幻", "爱情", "美食", "历史"]
STAMPS = {Key.EMBEDDED_AT, Key.UPDATED_AT, Key.LEASE, Key.REVISION, Key.ATTEMPTS}
"""Payload keys with times and counts, which may differ."""


class Catalogue:
    """Everything that was written and not deleted."""

    def __init__(self, seed: int, size: int) -> None:
        self.random = random.Random(seed)
        self.items = {f"i{k}": self.item(f"i{k}") for k in range(size)}
        self.events: dict[str, list[Event]] = {}
        for n in range(size // 20):
            self.events[f"u{n}"] = [self.event(f"u{n}", k) for k in range(4)]

    def item(self, name: str) -> Item:
        """Return an item with a unique text."""
        text = f"{' '.join(self.random.sample(WORDS, 5))} {name} {self.random.randrange(10**6)}"
        return Item(id=name, title=text, payload={"year": 1950 + self.random.randrange(70)})

    def event(self, user: str, step: int) -> Event:
        """Return a view of an existing item."""
        return Event(user=user, item=self.random.choice(list(self.items)), type="view", ts=1_700_000_000 + step * 3_600)

    def load(self, rec: Recommender) -> None:
        """Write everything."""
        rec.upsert_items(self.items.values())
        rec.track(event for events in self.events.values() for event in events)

    def change(self, rec: Recommender, part: int, parts: int) -> None:
        """One part of the edits, deletions, events and forgotten users."""
        names = sorted(self.items)
        for name in self.random.sample(names, len(names) // 10 // parts):
            self.items[name] = self.item(name)
            rec.upsert_items([self.items[name]])
        gone = self.random.sample(names, len(names) // 50 // parts)
        rec.delete_items(gone)
        for name in gone:
            del self.items[name]
        for user in self.random.sample(sorted(self.events), max(len(self.events) // 50, 1)):
            fresh = self.event(user, 100 + part)
            self.events[user].append(fresh)
            rec.track([fresh])
        user = self.random.choice(sorted(self.events))
        rec.forget_user(user)
        del self.events[user]


def settle(rec: Recommender) -> None:
    """Wait until nothing is stale."""
    while True:
        rec.reconcile()
        found = rec.status()
        if not (found.items_stale or found.users_stale or found.events_unfolded):
            return
        time.sleep(1)


def contents(rec: Recommender) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Payload without stamps, and vectors, of every item and user."""
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for collection, key in ((rec._space.items, Key.ITEM_ID), (rec._space.users, Key.USER_ID)):
        for point in everything(rec, collection, True):
            payload = {name: value for name, value in flat(point.payload or {}).items() if name not in STAMPS}
            found[f"{key} {payload[key]}"] = payload, point.vector if isinstance(point.vector, dict) else {}
    return found


def same(one: Any, two: Any) -> bool:
    """Whether two vectors of a leg agree to five digits."""
    if hasattr(one, "indices") and hasattr(two, "indices"):
        left, right = (dict(zip(v.indices, v.values, strict=True)) for v in (one, two))
        return left.keys() == right.keys() and all(abs(left[k] - right[k]) < 1e-5 for k in left)
    return np.shape(one) == np.shape(two) and bool(np.allclose(one, two, atol=1e-5))


def differences(got: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Every point that is missing, too much, or holds something else."""
    found = [f"missing: {name}" for name in wanted.keys() - got.keys()]
    found += [f"extra: {name}" for name in got.keys() - wanted.keys()]
    for name in got.keys() & wanted.keys():
        (payload, vectors), (payload_wanted, vectors_wanted) = got[name], wanted[name]
        odd = [k for k in payload.keys() | payload_wanted.keys() if payload.get(k) != payload_wanted.get(k)]
        odd += [
            leg
            for leg in vectors.keys() | vectors_wanted.keys()
            if leg not in vectors or leg not in vectors_wanted or not same(vectors[leg], vectors_wanted[leg])
        ]
        if odd:
            found.append(f"{name}: {', '.join(odd)}")
    return found


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore", WorkPendingWarning)
    with ExitStack() as stack:
        qdrant = stack.enter_context(QdrantServer())
        broker = stack.enter_context(RedisServer())
        stack.enter_context(CeleryWorker(broker.url, qdrant.url))
        stack.enter_context(Clock(broker.url, qdrant.url))
        rec = stack.enter_context(Recommender.connect(qdrant.url, space="moving", broker=broker.url))
        rec.create(SpaceConfig(model="hash", size=32, fields={"year": "integer"}))
        catalogue = Catalogue(options.seed, options.items)
        began = time.monotonic()
        catalogue.load(rec)
        settle(rec)
        print(f"loaded and encoded {len(catalogue.items):,} items in {time.monotonic() - began:.0f} s", flush=True)
        began = time.monotonic()
        job = rec.reembed(size=48)
        parts, meanwhile = 20, 0
        for part in range(parts):
            catalogue.change(rec, part, parts)
            meanwhile += job.progress().state != "done"
        done = job.wait(600)
        settle(rec)
        print(
            f"re-embedded in {time.monotonic() - began:.0f} s, {done.state}; {meanwhile} of {parts} parts of the changes "
            "were written before the switch",
            flush=True,
        )
        scratch = stack.enter_context(Recommender.connect(qdrant.url, space="scratch", broker=broker.url))
        scratch.create(rec.config)
        catalogue.load(scratch)
        settle(scratch)
        # Users hold what an item was when they were last folded, and weigh words by counts up to a minute old.
        time.sleep(MAX_COUNTS_AGE)
        for one in (rec, scratch):
            fold_again(one)
        got, wanted = contents(rec), contents(scratch)
        found = differences(got, wanted)
        for line in found[:10]:
            print(f"  {line}")
        events = sum(len(events) for events in catalogue.events.values())
        print(f"items={len(catalogue.items)} users={len(catalogue.events)} events={events} differences={len(found)}")
    return 1 if found or not meanwhile or done.state != "done" else 0


def fold_again(rec: Recommender) -> None:
    """Rebuild the collab leg and every user from the events."""
    Worker(rec.client).run(FitCollab(space=rec.space))
    SpaceStore(rec.client, rec._space).users.set_payload({Key.STALE: True}, models.Filter())
    settle(rec)


if __name__ == "__main__":
    sys.exit(main())
