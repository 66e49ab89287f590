"""Runs the whole path on real parts: MovieLens through the CLI into a real Qdrant, encoded by a real Celery worker.

``python -m benchmarks.load_movielens --data ../shared/datasets`` prints counts, rates, latencies and recommendations; the last
line is one JSON object. ``--embedded`` loads into a folder instead, and the command itself does the work: what everybody
tries first. ``--encoder hash`` takes the encoder that needs no model. The exit code is 1 if Qdrant does not hold exactly the
loaded data. CPU seconds are those of the loading commands, which a busy machine changes less than the time.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from benchmarks import movielens
from llmrec_qdrant import Recommender, SpaceConfig
from llmrec_qdrant.cli.printing import out, print_items
from tests.services import ROOT, CeleryWorker, QdrantServer, RedisServer
from workers.encoding.loading import load_encoder

SPACE = "movies"
PEOPLE = 3
SAMPLE = 1_500
ASKED = 300


def main() -> int:
    """Run the benchmark."""
    options = _options()
    figures: dict[str, Any] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llmrec-movielens-")))
        films = list(movielens.items(options.data))[: options.items]
        chosen = {film["id"] for film in films}
        ratings = [event for event in movielens.events(options.data) if event["item"] in chosen]
        users = len({event["user"] for event in ratings})
        _write(folder / "items.jsonl", films)
        _write(folder / "events.jsonl", ratings)
        config = {"rating_scale": [0.5, 5.0]} | ({"model": "hash"} if options.encoder == "hash" else {})
        (folder / "space.json").write_text(json.dumps(config))
        out.print(f"{len(films):,} films, {len(ratings):,} ratings of {users:,} users")

        figures["encode_only_items_per_s"] = _encode_only(films, SpaceConfig(**config))
        where = {"path": str(folder / "data")} if options.embedded else _services(stack)
        address = [part for name, value in where.items() for part in (f"--{name}", value)] + ["--space", SPACE]
        fields = ["--field", "year:integer", "--field", "genres:keyword"]
        _llmrec("init", "--config", str(folder / "space.json"), *fields, *address)

        loaded, seconds, figures["items_cpu_seconds"] = _timed("load", "items", str(folder / "items.jsonl"), *address)
        figures |= {"items": loaded["status"]["items"], "items_seconds": round(seconds, 1)}
        figures["end_to_end_items_per_s"] = round(len(films) / seconds, 1)
        figures["end_to_end_share"] = round(figures["end_to_end_items_per_s"] / figures["encode_only_items_per_s"], 3)

        loaded, more, figures["events_and_users_cpu_seconds"] = _timed(
            "load", "events", str(folder / "events.jsonl"), *address
        )
        figures |= {"events_and_users_seconds": round(more, 1), "seconds": round(seconds + more, 1)}
        figures["events_stored_per_s"] = round(len(ratings) / loaded["load"]["seconds"])

        rec = stack.enter_context(Recommender.connect(**where, space=SPACE))
        _wait_for_collab(rec)
        figures |= _latency(rec, sorted({event["user"] for event in ratings}))
        status = rec.status()
        figures |= status.model_dump(mode="json")
        wanted = (len(films), len(ratings), users, 0, 0, 0)
        held = (
            status.items,
            status.events,
            status.users,
            status.items_stale,
            status.users_stale,
            status.events_unfolded,
        )
        figures["counts_equal"] = wanted == held
        out.print(f"in Qdrant: items {held[0]:,}, events {held[1]:,}, users {held[2]:,}, waiting {sum(held[3:])}")
        out.print(f"counts equal to the input: {'yes' if figures['counts_equal'] else f'NO, {wanted} went in'}")
        out.print(
            f"items/s: end to end {figures['end_to_end_items_per_s']}, encode only "
            f"{figures['encode_only_items_per_s']} (share {figures['end_to_end_share']})"
        )
        _people(rec, ratings, {film["id"]: film for film in films}, where.get("url"), figures)
    _print_table(figures, options)
    print(json.dumps(figures, ensure_ascii=False))
    return 0 if figures["counts_equal"] and figures["request_equals_recommend"] is not False else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with movielens_small/")
    parser.add_argument("--embedded", action="store_true", help="a folder instead of servers")
    parser.add_argument("--encoder", choices=["real", "hash"], default="real")
    parser.add_argument("--items", type=int, default=None, help="only so many films, and their ratings")
    return parser.parse_args()


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as handle:
        for row in rows:
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")


def _services(stack: ExitStack) -> dict[str, str]:
    """Start Qdrant, Redis and a worker; returns where they are."""
    qdrant = stack.enter_context(QdrantServer())
    redis = stack.enter_context(RedisServer())
    stack.enter_context(CeleryWorker(redis.url, qdrant.url))
    return {"url": qdrant.url, "broker": redis.url}


def _timed(*arguments: str) -> tuple[dict[str, Any], float, float]:
    """Run a command; returns its answer, seconds, and CPU seconds."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = _llmrec(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return answer, time.monotonic() - began, round(used, 1)


def _latency(rec: Recommender, users: list[str]) -> dict[str, float]:
    """Milliseconds of `recommend` with its defaults, over random users."""
    asked = random.Random(1).choices(users, k=ASKED + 20)
    seconds = []
    for user in asked:
        began = time.perf_counter()
        rec.recommend(user)
        seconds.append(time.perf_counter() - began)
    p50, p95 = np.percentile(np.array(seconds[20:]) * 1_000, [50, 95])
    return {"recommend_p50_ms": round(float(p50), 1), "recommend_p95_ms": round(float(p95), 1)}


def _print_table(figures: dict[str, Any], options: argparse.Namespace) -> None:
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    table.add_row("parts", f"{'embedded' if options.embedded else 'server'}, {options.encoder} encoder")
    table.add_row("items and events, seconds", f"{figures['seconds']} ({figures['items_seconds']} for items)")
    cpu = figures["items_cpu_seconds"] + figures["events_and_users_cpu_seconds"]
    table.add_row("CPU seconds of the commands", f"{cpu:.1f} ({figures['items_cpu_seconds']} for items)")
    table.add_row("recommend p50, p95", f"{figures['recommend_p50_ms']}, {figures['recommend_p95_ms']} ms")
    table.add_row("share of the encoder alone", str(figures["end_to_end_share"]))
    out.print(table)


def _encode_only(films: list[dict[str, Any]], config: SpaceConfig) -> float:
    """The encoder alone, on a random sample of the same texts given to it at once."""
    encoder = load_encoder(config)
    sample = random.Random(1).sample(films, min(SAMPLE, len(films)))
    texts = [f"{film['title']}\n{film['text']}" for film in sample]
    encoder.encode(texts[:64])
    began = time.monotonic()
    encoder.encode(texts)
    return round(len(texts) / (time.monotonic() - began), 1)


def _llmrec(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "llmrec_qdrant.cli", *arguments, "--json"], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _wait_for_collab(rec: Recommender) -> None:
    """The collab leg is fitted when items have a popularity."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        listed = rec.recommend("nobody", 1)
        if listed and listed[0].score > 0:
            return
        time.sleep(0.5)


def _people(
    rec: Recommender, ratings: list[dict[str, Any]], films: dict[str, Any], url: str | None, figures: dict[str, Any]
) -> None:
    by_user: dict[str, list[dict[str, Any]]] = {}
    for event in ratings:
        by_user.setdefault(event["user"], []).append(event)
    candidates = sorted(user for user, found in by_user.items() if 50 <= len(found) <= 200)
    equal = True
    for user in random.Random(7).sample(candidates or sorted(by_user), PEOPLE):
        recent = sorted(by_user[user], key=lambda event: (event["ts"], event["value"]), reverse=True)
        liked = [films[event["item"]] for event in recent if event["value"] >= 4][:6]
        out.print(f"\n[bold]user {user}[/bold], {len(recent)} ratings; rated 4 and more lately:")
        for film in liked:
            out.print(f"  {film['title']}  ({', '.join(film['payload']['genres'])})", style="dim", markup=False)
        print_items(rec.recommend(user, 10, explain=True), f"for user {user}")
        equal &= url is None or _same_by_hand(rec, user, url)
    figures["request_equals_recommend"] = equal if url else None
    if not url:
        return
    out.print(f"request() posted as raw JSON gives the ids and scores of recommend(): {'yes' if equal else 'NO'}")


def _same_by_hand(rec: Recommender, user: str, url: str) -> bool:
    body = json.dumps(rec.request(user)).encode()
    post = urllib.request.Request(
        f"{url}/collections/{SPACE}_items/points/query", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(post) as answer:
        points = json.load(answer)["result"]["points"]
    listed = rec.recommend(user)
    return [(point["payload"]["item_id"], round(point["score"], 5)) for point in points] == [
        (one.id, round(one.score, 5)) for one in listed
    ]


if __name__ == "__main__":
    sys.exit(main())
