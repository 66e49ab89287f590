"""Latency, throughput, loading, memory and disk as a catalogue grows, on a server and embedded, beside raw Qdrant.

``python -m benchmarks.scale --items 1000 10000 100000 --on both`` writes a synthetic space (see `benchmarks.synthetic`) and
times every list with its defaults, with a filter and with a tenant, beside

- *raw*: exactly ``rec.request(…)`` posted over one connection, or handed to the engine in process, with and without the
  filter that leaves seen items out;
- *hybrid*: what people run on Qdrant today, with the same vectors: one dense and one sparse prefetch of the same depth,
  fused by reciprocal ranks.

All series take turns, in a random order per round, so whatever else the machine does hits all alike. ``cpu`` is the processor time of
both sides of a call, which other work on the machine hardly changes. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from qdrant_client import models
from rich.table import Table

from benchmarks.scale_engines import SPACE, Embedded, Engine, Server
from benchmarks.synthetic import Catalogue
from benchmarks.synthetic_fill import fill
from llmrec_qdrant import Recommender
from llmrec_qdrant.cli.printing import out
from llmrec_qdrant.query.requests import as_json
from llmrec_qdrant.space.layout import DENSE, TFIDF, Space
from workers.storage.store import SpaceStore

ENGINES: dict[str, type[Engine]] = {"server": Server, "embedded": Embedded}
TENANT = "north"
FILTER = {"year": {"gte": 2000}, "price": {"lt": 60}}
WARM_UP = 10
"""Rounds that are not timed."""
CLIENTS = (1, 4, 16)
COMPARED = ("p50", "p95", "cpu_p50", "cpu_p95")

Figures = dict[str, Any]
Ask = Callable[[int], Any]


def main(arguments: Sequence[str] | None = None) -> Figures:
    """Run the benchmark."""
    options = _options(arguments)
    results: Figures = {"calls": options.calls, "sizes": {}}
    for items in options.items:
        began = time.monotonic()
        catalogue = Catalogue(items, options.users)
        out.print(f"[bold]{items:,} items[/bold], {catalogue.users:,} users, {catalogue.users * 100:,} events")
        measured = {name: measure(ENGINES[name], catalogue, options) for name in options.on}
        results["sizes"][str(items)] = {**measured, "seconds": round(time.monotonic() - began, 1)}
    results["growth"] = growth(results["sizes"], options.on)
    for name, grown in results["growth"].items() if len(options.items) > 1 else ():
        out.print(f"growth on {name} from the smallest size to the largest:", grown)
    print(json.dumps(results))
    return results


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000], help="sizes of the catalogue")
    parser.add_argument("--on", choices=["server", "embedded", "both"], default="both")
    parser.add_argument("--users", type=int, default=None, help="default: a twentieth of the items, at least 200")
    parser.add_argument("--calls", type=int, default=200, help="timed calls per series")
    parser.add_argument("--seconds", type=float, default=4.0, help="per measurement of throughput; 0: none")
    options = parser.parse_args(arguments)
    options.on = list(ENGINES) if options.on == "both" else [options.on]
    return options


def measure(engine_type: type[Engine], catalogue: Catalogue, options: argparse.Namespace) -> Figures:
    """Load one engine and measure it."""
    with engine_type() as engine:
        rec = engine.connect()
        loaded = fill(SpaceStore(rec.client, Space(SPACE)), catalogue)
        figures: Figures = {"optimized_after_s": round(engine.settle(), 1), "segments": engine.segments()}
        figures["load_points_per_s"] = {kind: round(load.points / load.seconds) for kind, load in loaded.items()}
        figures["load_s"] = round(sum(load.seconds for load in loaded.values()), 1)
        users = [f"u{number:06d}" for number, owner in enumerate(catalogue.user_owners) if owner == ""]
        figures["ms"] = timed(engine, dict(series(engine, rec, catalogue, users)), options.calls)
        figures["ratios"] = ratios(figures["ms"])
        if options.seconds:
            peers = {"recommend": None, "hybrid": hybrid(rec, users[0])}
            figures["requests_per_s"] = {
                name: {clients: round(engine.rate(clients, options.seconds, users, body), 1) for clients in CLIENTS}
                for name, body in peers.items()
            }
        figures["disk_mb"] = round(engine.disk() / 1e6, 1)
        figures["memory_mb"] = round(engine.memory() / 1e6, 1)
    report(engine_type, figures)
    return figures


# --- what is asked ---------------------------------------------------------------------------------


def series(engine: Engine, rec: Recommender, catalogue: Catalogue, users: list[str]) -> Iterator[tuple[str, Ask]]:
    """Name and call of every series; a call takes the number of the round."""

    def of(values: Sequence[Any]) -> Callable[[int], Any]:
        return lambda round: values[round % len(values)]

    user = of(users)
    some = users[:200]
    seen = {name: rec.request(name) for name in some}
    yield "recommend", lambda k: rec.recommend(user(k))
    yield from _peers(engine, rec, some, seen)
    yield from _lists(rec, catalogue, "", users)
    yield from _lists(engine.connect(TENANT), catalogue, TENANT, [
        f"u{number:06d}" for number, owner in enumerate(catalogue.user_owners) if owner == TENANT
    ])  # fmt: skip


def _peers(
    engine: Engine, rec: Recommender, users: Sequence[str], seen: Mapping[str, Any]
) -> Iterator[tuple[str, Ask]]:
    """The same request without our adapter, and plain hybrid search."""
    bodies = {
        "raw": list(seen.values()),
        "raw, seen not left out": [rec.request(user, exclude_seen=False) for user in users],
        "raw, fused in a prefetch": [nested(body) for body in seen.values()],
        "hybrid": [hybrid(rec, user) for user in users],
        "hybrid, seen left out": [hybrid(rec, user, seen[user].get("filter")) for user in users],
    }
    for name, prepared in bodies.items():
        calls = [engine.raw(body) for body in prepared]
        yield name, lambda k, calls=calls: calls[k % len(calls)]()


def _lists(rec: Recommender, catalogue: Catalogue, tenant: str, users: Sequence[str]) -> Iterator[tuple[str, Ask]]:
    items = [f"i{number:07d}" for number, owner in enumerate(catalogue.owners) if owner == tenant]
    random.Random(3).shuffle(items)
    texts = list(catalogue.queries)

    def user(k: int) -> str:
        return users[k % len(users)]

    def item(k: int) -> str:
        return items[k % len(items)]

    def text(k: int) -> str:
        return texts[k % len(texts)]

    lists: dict[str, Ask] = {
        "recommend": lambda k: rec.recommend(user(k)),
        "recommend, explained": lambda k: rec.recommend(user(k), explain=True),
        "recommend_from": lambda k: rec.recommend_from([item(k), item(k + 1), item(k + 2)]),
        "similar_items": lambda k: rec.similar_items(item(k)),
        "similar_users": lambda k: rec.similar_users(user(k)),
        "search": lambda k: rec.search(text(k)),
        "search for a user": lambda k: rec.search(text(k), user(k)),
        "shelves": lambda k: rec.shelves(user(k)),
        "interests": lambda k: rec.interests(user(k)),
        "top": lambda k: rec.top(),
    }
    filtered: dict[str, Ask] = {
        "recommend": lambda k: rec.recommend(user(k), filter=FILTER),
        "recommend_from": lambda k: rec.recommend_from([item(k), item(k + 1), item(k + 2)], filter=FILTER),
        "similar_items": lambda k: rec.similar_items(item(k), filter=FILTER),
        "search": lambda k: rec.search(text(k), filter=FILTER),
    }
    if tenant:
        yield from ((f"{name}, tenant", ask) for name, ask in lists.items())
        return
    yield from ((name, ask) for name, ask in lists.items() if name != "recommend")
    yield from ((f"{name}, filter", ask) for name, ask in filtered.items())


def nested(body: Mapping[str, Any]) -> dict[str, Any]:
    """The same request, fused one level deeper.

    A server reads the payload of every candidate of a root fusion, but only that of the answer here. The scores are equal on a
    collection of one shard.
    """
    inner = {name: body[name] for name in ("prefetch", "query", "limit")}
    return {**body, "prefetch": [inner], "query": {"formula": "$score"}}


def hybrid(rec: Recommender, user: str, filter: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Plain hybrid search with a user's dense and tfidf vectors, as Qdrant's documentation shows it."""
    (point,) = rec.client.retrieve(Space(SPACE).users, [rec._bound().user_point(user)], with_vectors=[DENSE, TFIDF])
    vectors: Any = point.vector or {}
    depth = rec.config.prefetch
    request = models.QueryRequest(
        prefetch=[
            models.Prefetch(query=vectors[leg], using=leg, limit=depth) for leg in (DENSE, TFIDF) if leg in vectors
        ],
        query=models.FusionQuery(fusion=models.Fusion.RRF),
        limit=10,
        with_payload=models.PayloadSelectorExclude(exclude=["text", "bookkeeping"]),
    )
    return as_json(request) | ({"filter": filter} if filter else {})


# --- figures ---------------------------------------------------------------------------------------


def timed(engine: Engine, calls: Mapping[str, Ask], rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds per series: p50, p95 and p99 of the time, p50 and p95 of the CPU time."""
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
    both = {f"p{q}": np.percentile(ms[:, 0], q) for q in (50, 95, 99)}
    both |= {f"cpu_p{q}": np.percentile(ms[:, 1], q) for q in (50, 95)}
    return {name: round(float(value), 2) for name, value in both.items()}


def ratios(ms: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """What is compared: quantiles of one series divided by those of another."""
    pairs = {
        "recommend / raw": ("recommend", "raw"),
        "recommend / raw, seen not left out": ("recommend", "raw, seen not left out"),
        "raw / hybrid, seen left out by both": ("raw", "hybrid, seen left out"),
        "raw / hybrid, seen left out by none": ("raw, seen not left out", "hybrid"),
        "recommend / hybrid": ("recommend", "hybrid"),
        "fused in a prefetch / raw": ("raw, fused in a prefetch", "raw"),
    }
    return {
        name: {q: round(ms[ours][q] / ms[theirs][q], 2) for q in COMPARED} for name, (ours, theirs) in pairs.items()
    }


def growth(sizes: Mapping[str, Figures], engines: Sequence[str]) -> Figures:
    """Engine → series → quantiles at the largest size over those at the smallest."""
    first, last = min(sizes, key=int), max(sizes, key=int)
    return {
        engine: {
            name: {q: round(values[q] / sizes[first][engine]["ms"][name][q], 2) for q in COMPARED}
            for name, values in sizes[last][engine]["ms"].items()
        }
        for engine in engines
    }


def report(engine: type[Engine], figures: Figures) -> None:
    """Print the figures of one engine."""
    shown = ("p50", "p95", "p99", "cpu_p50", "cpu_p95")
    table = Table("milliseconds", *shown, title=engine.name)
    for name, values in figures["ms"].items():
        table.add_row(name, *(f"{values[q]:.1f}" for q in shown))
    out.print(table)
    for name, values in figures["ratios"].items():
        out.print(f"{name}: " + ", ".join(f"{q} {value}" for q, value in values.items()))
    for name, rates in figures.get("requests_per_s", {}).items():
        listed = ", ".join(f"{rate} at {clients}" for clients, rate in rates.items())
        out.print(f"{name}, requests/s by the number of clients ({engine.clients}): {listed}")
    rest = {name: value for name, value in figures.items() if name not in {"ms", "ratios", "requests_per_s"}}
    out.print(rest)


if __name__ == "__main__":
    main()
