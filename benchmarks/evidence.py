"""Measures whether evidence is true, and what it costs.

``python -m benchmarks.evidence --data ../shared/datasets`` uses the 5-core of MovieLens latest-small and a real Qdrant.

- *Sums*: the largest difference between a score and the sum of its contributions.
- *Deletion*: of each user's first item, the ``NAMED`` strongest items of the evidence are taken out of the history, and the user is folded
  again; how far does the item drop? The same with as many random items, ``DRAWS`` times: once any items, and once items taken at about
  the same time as those named (for each, one of the ``NEAR`` nearest), since recent events weigh most whatever they are about. An item
  that leaves the list of 1,000 has rank 1,001. The rest of the space stays as it is.
- *Time*: medians of ten items with evidence and of the plain list, asked for in turn.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from benchmarks import movielens
from llmrec_qdrant import Event, Evidence, Recommender, SpaceConfig
from llmrec_qdrant.cli.printing import out
from llmrec_qdrant.query.options import MAX_LIMIT
from tests.services import QdrantServer

NAMED = 3
"""Items taken out of a history."""
DRAWS = 3
"""Random sets per user and control."""
NEAR = 6
"""Items before and after one that is named, in the order of the history, from which its control is drawn."""

History = list[dict[str, Any]]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--model", default=SpaceConfig().model)
    options = parser.parse_args()
    histories, films = movielens.histories(options.data)
    size = {"size": 64} if options.model == "hash" else {}
    with QdrantServer() as server, Recommender.connect(server.url, space="films") as rec:
        rec.create(SpaceConfig(rating_scale=(0.5, 5.0), model=options.model, **size))
        rec.upsert_items(films)
        events = [Event(**event) for history in histories.values() for event in history]
        for start in range(0, len(events), 5_000):
            rec.load_events(events[start : start + 5_000])
        rec.reconcile()
        users = random.Random(7).sample(sorted(histories), options.users)
        figures = {"users": len(users), **timed(rec, users), **deleted(rec, {user: histories[user] for user in users})}
    out.print(f"contributions differ from the score by {figures['largest_difference']:.1e} at most")
    out.print(
        f"drop in rank without {NAMED} named items: {figures['named_mean']:.1f} (median {figures['named_median']:.0f})"
    )
    for kind, which in (("random", "any others"), ("near", "others of the same time")):
        out.print(
            f"without {which}: {figures[f'{kind}_mean']:.1f} (median {figures[f'{kind}_median']:.0f}); named ones: "
            f"{figures[f'{kind}_ratio']:.1f} times as far"
        )
    out.print(
        f"ten items: plain {figures['plain_ms']:.1f} ms, with evidence {figures['evidence_ms']:.1f} ms: {figures['times']:.2f} times"
    )
    print(json.dumps(figures))


def timed(rec: Recommender, users: list[str]) -> dict[str, float]:
    """Medians in ms of plain lists and lists with evidence, and the largest error of a sum."""
    plain, told, wrong = [], [], 0.0
    for turn in range(3):
        for user in users:
            started = time.perf_counter()
            rec.recommend(user)
            between = time.perf_counter()
            listed = rec.recommend(user, explain=True)
            ended = time.perf_counter()
            wrong = max(wrong, *(abs(item.score - item.evidence.score) for item in listed if item.evidence))
            if turn:  # the first fills the memory of both
                plain.append(between - started)
                told.append(ended - between)
    ms = [statistics.median(times) * 1e3 for times in (plain, told)]
    return {"plain_ms": ms[0], "evidence_ms": ms[1], "times": ms[1] / ms[0], "largest_difference": wrong}


def deleted(rec: Recommender, histories: dict[str, History]) -> dict[str, float]:
    """How far the first item of each user drops without the items named, without any others, and without others of the same time."""
    chance = random.Random(7)
    drops: dict[str, list[int]] = {"named": [], "random": [], "near": []}
    for user, history in histories.items():
        best = rec.recommend(user, 1, explain=True)[0]
        named = strongest(best.evidence)[:NAMED]
        if len(named) < NAMED:
            continue
        drops["named"].append(drop(rec, user, history, best.id, named))
        order = list(dict.fromkeys(event["item"] for event in sorted(history, key=lambda event: -event["ts"])))
        for _ in range(DRAWS):
            drops["random"].append(drop(rec, user, history, best.id, chance.sample(order, NAMED)))
            drops["near"].append(drop(rec, user, history, best.id, near(order, named, chance)))
    figures = {"tried": float(len(drops["named"]))}
    for kind, ranks in drops.items():
        figures |= {f"{kind}_mean": statistics.mean(ranks), f"{kind}_median": statistics.median(ranks)}
        figures[f"{kind}_ratio"] = figures["named_mean"] / max(figures[f"{kind}_mean"], 1e-9)
    return figures


def near(order: list[str], named: list[str], chance: random.Random) -> list[str]:
    """For each item that is named, one that is not, taken at about the same time; ``order``: all items, latest first."""
    drawn: list[str] = []
    for item in named:
        place = order.index(item)
        others = [other for other in order if other not in (*named, *drawn)]
        closest = sorted(others, key=lambda other: abs(order.index(other) - place))[:NEAR]
        drawn.append(chance.choice(closest))
    return drawn


def strongest(told: Evidence | None) -> list[str]:
    """Items of the evidence, by what they add to the score over all legs."""
    total: dict[str, float] = {}
    for leg in told.legs if told else ():
        for event in leg.events:
            if event.item:
                total[event.item] = total.get(event.item, 0.0) + event.contribution
    return sorted(total, key=lambda item: -total[item])


def drop(rec: Recommender, user: str, history: History, item: str, without: list[str]) -> int:
    """Ranks that the item of rank 1 loses for a copy of the user who never had these items."""
    copy = f"{user}-copy"
    rec.track([Event(**{**event, "user": copy}) for event in history if event["item"] not in without])
    listed = [one.id for one in rec.recommend(copy, MAX_LIMIT, exclude=without)]
    rec.forget_user(copy)
    return (listed.index(item) if item in listed else MAX_LIMIT) if listed else MAX_LIMIT


if __name__ == "__main__":
    main()
