"""Runs the whole path on real parts: MovieLens through the CLI into a real Qdrant, encoded by a real Celery worker.

``python -m benchmarks.load_movielens --data ../shared/datasets`` prints counts, rates and recommendations; the last line is
one JSON object. The exit code is 1 if Qdrant does not hold exactly the loaded data.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import movielens
from llmrec_qdrant import Recommender, SpaceConfig
from llmrec_qdrant.cli.printing import out, print_items
from tests.services import ROOT, CeleryWorker, QdrantServer, RedisServer
from workers.encoding.loading import load_encoder

SPACE = "movies"
PEOPLE = 3
SAMPLE = 1_500


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
        (folder / "space.json").write_text(json.dumps({"rating_scale": [0.5, 5.0]}))
        out.print(f"{len(films):,} films, {len(ratings):,} ratings of {users:,} users")

        figures["encode_only_items_per_s"] = _encode_only(films)
        qdrant = stack.enter_context(QdrantServer())
        redis = stack.enter_context(RedisServer())
        stack.enter_context(CeleryWorker(redis.url, qdrant.url))
        address = ["--url", qdrant.url, "--broker", redis.url, "--space", SPACE]
        fields = ["--field", "year:integer", "--field", "genres:keyword"]
        _llmrec("init", "--config", str(folder / "space.json"), *fields, *address)

        began = time.monotonic()
        loaded = _llmrec("load", "items", str(folder / "items.jsonl"), *address)
        seconds = time.monotonic() - began
        figures |= {"items": loaded["status"]["items"], "items_seconds": round(seconds, 1)}
        figures["end_to_end_items_per_s"] = round(len(films) / seconds, 1)
        figures["end_to_end_share"] = round(figures["end_to_end_items_per_s"] / figures["encode_only_items_per_s"], 3)

        began = time.monotonic()
        loaded = _llmrec("load", "events", str(folder / "events.jsonl"), *address)
        figures["events_and_users_seconds"] = round(time.monotonic() - began, 1)
        figures["events_stored_per_s"] = round(len(ratings) / loaded["load"]["seconds"])

        rec = stack.enter_context(Recommender.connect(qdrant.url, space=SPACE, broker=redis.url))
        _wait_for_collab(rec)
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
        _people(rec, ratings, {film["id"]: film for film in films}, qdrant.url, figures)
    print(json.dumps(figures, ensure_ascii=False))
    return 0 if figures["counts_equal"] and figures["request_equals_recommend"] else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with movielens_small/")
    parser.add_argument("--items", type=int, default=None, help="only so many films, and their ratings")
    return parser.parse_args()


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as handle:
        for row in rows:
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")


def _encode_only(films: list[dict[str, Any]]) -> float:
    """The encoder alone, on a random sample of the same texts given to it at once."""
    encoder = load_encoder(SpaceConfig())
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
    rec: Recommender, ratings: list[dict[str, Any]], films: dict[str, Any], url: str, figures: dict[str, Any]
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
        equal &= _same_by_hand(rec, user, url)
    out.print(f"request() posted as raw JSON gives the ids and scores of recommend(): {'yes' if equal else 'NO'}")
    figures["request_equals_recommend"] = equal


def _same_by_hand(rec: Recommender, user: str, url: str) -> bool:
    body = json.dumps(rec.request(user)).encode()
    post = urllib.request.Request(
        f"{url}/collections/{SPACE}_items/points/query", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(post) as answer:
        points = json.load(answer)["result"]["points"]
    listed = rec.recommend(user, exclude_seen=False)
    return [(point["payload"]["item_id"], round(point["score"], 5)) for point in points] == [
        (one.id, round(one.score, 5)) for one in listed
    ]


if __name__ == "__main__":
    sys.exit(main())
