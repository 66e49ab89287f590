"""What `recommend` costs beside its own raw request, over REST and gRPC, awaited and not.

``python -m benchmarks.round_trip --items 10000`` writes the synthetic space of `benchmarks.scale`, and times, taking turns in a random
order per round,

- *raw*: the ready request of a user, without the filter that leaves seen items out, sent through the same Qdrant client;
- *recommend*: with its defaults, for users asked before; for a user asked for the first time (*first*); and for users
  with a thousand seen items (*1,000 seen*).

``cpu`` is the processor time of both sides, which other work on the machine hardly changes; quantiles of time depend on it. The last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from qdrant_client import AsyncQdrantClient, QdrantClient, models
from rich.table import Table

from benchmarks.scale_engines import SPACE, Server
from benchmarks.synthetic import Catalogue
from benchmarks.synthetic_fill import fill
from llmrec_qdrant import AsyncRecommender, Recommender
from llmrec_qdrant.cli.printing import out
from llmrec_qdrant.connect import CONNECTIONS, HEADERS
from llmrec_qdrant.operations.recommend import plan_request
from llmrec_qdrant.operations.remember import Memory
from llmrec_qdrant.operations.steps import drive
from llmrec_qdrant.query.options import ListOptions
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.space.layout import Space
from workers.storage.store import SpaceStore

USERS = 50
MANY_SEEN = 1_000
WARM_UP = 3

Ask = Callable[[int], Any]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000], help="sizes of the catalogue")
    parser.add_argument("--calls", type=int, default=100, help="timed calls per series")
    options = parser.parse_args()
    results: dict[str, Any] = {"calls": options.calls, "sizes": {}}
    for items in options.items:
        results["sizes"][str(items)] = measure(Catalogue(items, None), options.calls)
    print(json.dumps(results))


def measure(catalogue: Catalogue, calls: int) -> dict[str, Any]:
    """Load a server and measure both transports."""
    with Server() as engine:
        rec = engine.connect()
        fill(SpaceStore(rec.client, Space(SPACE)), catalogue)
        engine.settle()
        names = [f"u{number:06d}" for number, owner in enumerate(catalogue.user_owners) if owner == ""]
        users, heavy = names[:USERS], names[USERS : 2 * USERS]
        _see_many(rec, heavy, [f"i{number:07d}" for number, owner in enumerate(catalogue.owners) if owner == ""])
        with asyncio.Runner() as runner:
            series = dict(_series(engine, rec, runner, users, heavy))
            ms = timed(engine, series, calls)
    figures = {"ms": ms, "ratios": {name: ratio(ms, name) for name in ms if "raw" not in name}}
    report(len(catalogue.owners), figures)
    return figures


def _see_many(rec: Recommender, users: Sequence[str], items: list[str]) -> None:
    for number, user in enumerate(users):
        seen = random.Random(number).sample(items, min(MANY_SEEN, len(items) * 6 // 10))
        rec.client.set_payload(
            Space(SPACE).users, {"seen": seen}, [rec._bound().user_point(user)], key="bookkeeping", wait=True
        )


def _series(
    engine: Server, rec: Recommender, runner: asyncio.Runner, users: list[str], heavy: list[str]
) -> Iterator[tuple[str, Ask]]:
    """Name and call of every series; a call takes the number of the round."""
    options: dict[str, Any] = {
        "url": engine.qdrant.url,
        "grpc_port": engine.qdrant.grpc_port,
        "check_compatibility": False,
    }
    options |= {"cloud_inference": True, "limits": CONNECTIONS, "timeout": 60}
    bodies = [drive(plan_request(rec._bound(), user, ListOptions(), False), rec.client, NoQueue()) for user in users]
    bodies_heavy = [
        drive(plan_request(rec._bound(), user, ListOptions(), False), rec.client, NoQueue()) for user in heavy
    ]
    for transport in ("REST", "gRPC"):
        options |= {"prefer_grpc": transport == "gRPC", "headers": HEADERS if transport == "REST" else None}
        client = QdrantClient(**options)
        mine = Recommender(client, NoQueue(), SPACE)
        yield from _synchronous(f"{transport} sync", client, mine, bodies, users)
        yield from _synchronous(f"{transport} sync, 1,000 seen", client, mine, bodies_heavy, heavy)
        awaited = AsyncQdrantClient(**options)
        theirs = AsyncRecommender(awaited, NoQueue(), SPACE)
        yield from _asynchronous(f"{transport} async", runner, awaited, theirs, bodies, users)
        yield from _asynchronous(f"{transport} async, 1,000 seen", runner, awaited, theirs, bodies_heavy, heavy)


def _synchronous(
    name: str, client: QdrantClient, rec: Recommender, bodies: Sequence[models.QueryRequest], users: list[str]
) -> Iterator[tuple[str, Ask]]:
    fresh = Recommender(client, NoQueue(), SPACE)

    def first(k: int) -> Any:
        fresh._memory = Memory()
        return fresh.recommend(users[k % len(users)])

    for user in users:
        rec.recommend(user)
    yield f"{name}: raw", lambda k: client.query_batch_points(Space(SPACE).items, [bodies[k % len(bodies)]])
    yield f"{name}: recommend", lambda k: rec.recommend(users[k % len(users)])
    yield f"{name}: first", first


def _asynchronous(
    name: str, runner: asyncio.Runner, client: AsyncQdrantClient, rec: AsyncRecommender,
    bodies: Sequence[models.QueryRequest], users: list[str],
) -> Iterator[tuple[str, Ask]]:  # fmt: skip
    for user in users:
        runner.run(rec.recommend(user))
    items = Space(SPACE).items
    yield f"{name}: raw", lambda k: runner.run(client.query_batch_points(items, [bodies[k % len(bodies)]]))
    yield f"{name}: recommend", lambda k: runner.run(rec.recommend(users[k % len(users)]))


def timed(engine: Server, calls: dict[str, Ask], rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds per series: quantiles of the time, and the mean CPU time of both sides."""
    chance, names = random.Random(5), list(calls)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for k in range(WARM_UP + rounds):
        chance.shuffle(names)
        for name in names:
            cpu, began = engine.cpu(), time.perf_counter()
            calls[name](k)
            took = time.perf_counter() - began
            if k >= WARM_UP:
                taken[name].append((took, engine.cpu() - cpu))
    return {name: _quantiles(np.array(taken[name]) * 1000) for name in calls}


def _quantiles(ms: np.ndarray) -> dict[str, float]:
    p50, p95 = np.percentile(ms[:, 0], (50, 95))
    figures = {"p50": p50, "p95": p95, "cpu": np.median(ms[:, 1])}
    return {name: round(float(value), 2) for name, value in figures.items()}


def ratio(ms: dict[str, dict[str, float]], name: str) -> dict[str, float]:
    """The figures of a series over those of the raw request of the same client and users."""
    raw = ms[f"{name.split(':')[0]}: raw"]
    return {figure: round(value / raw[figure], 2) for figure, value in ms[name].items()}


def report(items: int, figures: dict[str, Any]) -> None:
    """Print the figures of one size."""
    table = Table(f"{items:,} items", "p50 ms", "p95 ms", "CPU ms", "p50 / raw", "p95 / raw", "CPU / raw")
    for name, ms in figures["ms"].items():
        over = figures["ratios"].get(name, {})
        table.add_row(name, *(f"{value:.1f}" for value in ms.values()), *(f"{value:.2f}" for value in over.values()))
    out.print(table)


if __name__ == "__main__":
    main()
