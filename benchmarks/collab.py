"""Measures memory and time of the co-occurrence of very many events.

``python -m benchmarks.collab --events 10000000`` generates the events of a Zipf-distributed catalogue page by page, as Qdrant
would return them, and runs every step of a fit except the network: collecting, counting in blocks, and forming each item's
vector. Then it rebuilds 64 items from the same events. Last line: JSON with the peak memory in GiB.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from llmrec_qdrant import SpaceConfig
from llmrec_qdrant.operations.clock import iso
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point
from workers.behaviour import cooccurrence
from workers.items.interactions import collect

PAGE = 1_000


def pages(events: int, users: int, items: int, seed: int = 0) -> Iterator[list[Point]]:
    """Pages of events in random order, as points with random ids lie in Qdrant."""
    chance = np.random.default_rng(seed)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    stamps = [iso(start + timedelta(seconds=int(second))) for second in chance.integers(0, 365 * 86_400, 10_000)]
    for first in range(0, events, PAGE):
        size = min(PAGE, events - first)
        who, what = chance.integers(0, users, size), chance.zipf(1.2, size) % items
        when = chance.integers(0, len(stamps), size)
        yield [
            Point(
                id=str(uuid.UUID(int=first + k)),
                payload={
                    Key.USER_ID: f"user-{who[k]}", Key.ITEM_ID: f"item-{what[k]}", Key.TENANT: "", Key.TYPE: "view",
                    Key.TS: stamps[when[k]],
                },
            )
            for k in range(size)
        ]  # fmt: skip


def peak() -> float:
    """Most memory this process ever held, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=500_000)
    parser.add_argument("--items", type=int, default=200_000)
    options = parser.parse_args()
    before, began = peak(), time.monotonic()
    print(f"{before:.2f} GiB before anything", flush=True)
    found = collect(pages(options.events, options.users, options.items), SpaceConfig())
    collected, marked = peak(), time.monotonic()
    print(f"{len(found.items):,} events collected in {marked - began:.0f} s: {collected:.2f} GiB", flush=True)
    rows = entries = 0
    for _, vector in cooccurrence.sparse_rows(cooccurrence.cooccurrence(found), found.names):
        rows += 1
        entries += len(vector.indices)
    counted = time.monotonic()
    print(f"{rows:,} vectors, {entries:,} entries, in {counted - marked:.0f} s: {peak():.2f} GiB", flush=True)
    cooccurrence.strengths(found, np.arange(64), found.popularity, 1.0)
    print(json.dumps({
        "events": options.events, "rows": rows, "entries": entries, "seconds": round(counted - began),
        "peak_gib": round(peak(), 2),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
