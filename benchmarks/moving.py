"""Moves MovieLens from a folder to a real Qdrant and into another folder, also with kill -9 in the middle of both moves.

``python -m benchmarks.moving --data ../shared/datasets`` loads MovieLens small into an embedded Qdrant (hash encoder), pushes it to a
server and pulls it into a fresh folder, then kills a push and a pull at random moments and runs them again. Everything is read
with the Qdrant clients and compared; the last line is one JSON object. The exit code is 1 if a point differs.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import movielens
from llmrec_qdrant import Event, Recommendation, Recommender, SpaceConfig, SpaceNotFound
from llmrec_qdrant.connect import open_sync
from tests.moving import everything, same_lists
from tests.services import ROOT, QdrantServer

SPACE = "movies"
CONFIG = SpaceConfig(
    model="hash", size=384, rating_scale=(0.5, 5.0), fields={"year": "integer", "genres": "keyword"}
)  # fmt: skip

TIE = 0.01
"""Difference of fused scores that is none: where items tie at the end of a leg's candidates, which of them are fused depends
on the order in which points were stored. An item of such a tie may also be missing in one of two lists."""


def main() -> int:
    """Run the benchmark."""
    options = _options()
    figures: dict[str, Any] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llmrec-moving-")))
        laptop = str(folder / "laptop")
        figures |= _load(laptop, options)
        original = _held(path=laptop)
        qdrant = stack.enter_context(QdrantServer())
        here = ["--path", laptop, "--space", SPACE, "--json"]
        back = ["--path", str(folder / "back"), "--space", SPACE, "--json"]

        for verb, where in (("push", here), ("pull", back)):
            began = time.monotonic()
            report = _llmrec(verb, qdrant.url, *where)
            figures |= {f"{verb}_seconds": report["seconds"], f"{verb}_wall_seconds": time.monotonic() - began}
        figures["server_equal"] = _held(url=qdrant.url) == original
        figures["pulled_equal"] = _held(path=str(folder / "back")) == original
        figures["lists_that_differ"] = _lists_that_differ(laptop, str(folder / "back"), qdrant.url)
        again = _llmrec("push", qdrant.url, "--replace", "--yes", *here)
        figures |= {"compare_seconds": again["seconds"], "compare_written": again["written"]}

        generator = random.Random(options.seed)
        for verb in ("push", "pull"):
            for number in range(options.kills):
                target = f"{verb}{number}"
                moment = generator.uniform(0.5, 0.8) * figures[f"{verb}_wall_seconds"]
                there = (
                    ["--path", str(folder / target), "--space", SPACE] if verb == "pull" else [*here, "--as", target]
                )
                figures[target] = _killed(
                    [verb, qdrant.url, *there], moment, verb, target, qdrant.url, folder, original
                )
    print(json.dumps(figures))
    return 0 if figures["server_equal"] and figures["pulled_equal"] and _all_equal(figures) else 1


def _all_equal(figures: dict[str, Any]) -> bool:
    return all(value["equal"] for value in figures.values() if isinstance(value, dict) and "equal" in value)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with movielens_small/")
    parser.add_argument("--items", type=int, default=None, help="only so many films, and their ratings")
    parser.add_argument("--kills", type=int, default=1, help="killed pushes, and killed pulls")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def _load(path: str, options: argparse.Namespace) -> dict[str, Any]:
    films = list(movielens.items(options.data))[: options.items]
    chosen = {film["id"] for film in films}
    began = time.monotonic()
    with Recommender.connect(path=path, space=SPACE) as rec:
        rec.create(CONFIG)
        for start in range(0, len(films), 1_000):
            rec.upsert_items(films[start : start + 1_000], notify=False)
        events = [Event(**event) for event in movielens.events(options.data) if event["item"] in chosen]
        for start in range(0, len(events), 5_000):
            rec.load_events(events[start : start + 5_000])
        rec.reconcile()
        status = rec.status()
    counts = {name: getattr(status, name) for name in ("items", "users", "events", "items_stale", "users_stale")}
    return {**counts, "load_seconds": round(time.monotonic() - began, 1)}


def _held(space: str = SPACE, **where: str) -> dict[str, Any]:
    """Everything of a space, under the name that the first folder has."""
    client = open_sync(**where)
    try:
        return everything(client, space, SPACE)
    finally:
        client.close()


def _lists_that_differ(laptop: str, back: str, url: str) -> dict[str, str]:
    """Return how many lists of each copy differ from those of the folder; prints them."""
    users = [str(number) for number in range(1, 101)]
    with (
        Recommender.connect(path=laptop, space=SPACE) as first,
        Recommender.connect(path=back, space=SPACE) as second,
        Recommender.connect(url, space=SPACE) as third,
    ):
        lists = [[*map(rec.recommend, users), rec.similar_items("1")] for rec in (first, second, third)]
    names, differ = [*users, "similar to 1"], {}
    for where, theirs in zip(("pulled", "server"), lists[1:], strict=True):
        odd = [row for row in zip(names, lists[0], theirs, strict=True) if not same_lists([row[1]], [row[2]], TIE)]
        for name, mine, other in odd:
            print(f"{name}, {where}: {_shown(other)} is not {_shown(mine)}", file=sys.stderr)
        differ[where] = f"{len(odd)} of {len(names)}"
    return differ


def _shown(items: list[Recommendation]) -> list[tuple[str, float]]:
    return [(item.id, round(item.score, 5)) for item in items]


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "llmrec_qdrant.cli", *arguments]


def _llmrec(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(_command(*arguments), cwd=ROOT, stdout=subprocess.PIPE, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _killed(
    command: list[str], moment: float, verb: str, target: str, url: str, folder: Path, original: dict[str, Any]
) -> dict[str, Any]:
    """Kill a move after ``moment`` seconds, look at the target, run the move again, and compare."""
    where = {"url": url} if verb == "push" else {"path": str(folder / target)}
    space = target if verb == "push" else SPACE
    process = subprocess.Popen(_command(*command), cwd=ROOT, stdout=subprocess.DEVNULL)
    time.sleep(moment)
    process.kill()
    process.wait()
    hidden = _is_hidden(space, where)
    report = _llmrec(*command, *([] if "--json" in command else ["--json"]))
    return {
        "killed_after": round(moment, 1), "hidden": hidden, "points": sum(report["points"].values()),
        "written_again": report["written"], "seconds": report["seconds"], "equal": _held(space, **where) == original,
    }  # fmt: skip


def _is_hidden(space: str, where: dict[str, str]) -> str:
    """The error that a use of the space meets; empty if it is shown."""
    with Recommender.connect(**where, space=space) as rec:  # type: ignore[arg-type]
        try:
            rec.status()
        except SpaceNotFound as error:
            return type(error).__name__
    return ""


if __name__ == "__main__":
    sys.exit(main())
