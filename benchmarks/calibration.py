"""Lists calibrated to interests: how much nearer to them, at what cost in accuracy. MovieLens, a real Qdrant.

``python -m benchmarks.calibration --data ../shared/datasets``. Leave-one-out on the 5-core of MovieLens latest-small:
the last film of each user is held out, everything is fitted on the rest. The trade-off is chosen on one half of the
users; the figures are of the other half. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np

from benchmarks import movielens
from llmrec_qdrant import Event, Recommendation, Recommender, SpaceConfig
from llmrec_qdrant.calibration import POOL, TRADE_OFF, calibrated, divergence
from llmrec_qdrant.printing import out
from tests.services import QdrantServer

LIMIT = 10
TRADE_OFFS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
Row = tuple[list[Recommendation], dict[str, float], str]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default=SpaceConfig().model)
    options = parser.parse_args()
    histories, films = movielens.histories(options.data)
    out.print(f"{len(histories)} users, {len(films):,} films, {sum(map(len, histories.values())):,} events")
    with QdrantServer() as server, Recommender.connect(server.url, space="films") as rec:
        size = {} if options.model != "hash" else {"size": 64}
        rec.create(SpaceConfig(rating_scale=(0.5, 5.0), model=options.model, **size))
        rec.upsert_items(films)
        past = [Event(**event) for history in histories.values() for event in history[:-1]]
        for start in range(0, len(past), 5_000):
            rec.load_events(past[start : start + 5_000])
        rec.reconcile()
        rec.fit_topics()
        out.print(f"{len(rec.topics())} topics")
        rows = {user: row(rec, user, history[-1]["item"]) for user, history in histories.items()}
        users = sorted(rows)
        random.Random(7).shuffle(users)
        chosen, shown = users[: len(users) // 2], users[len(users) // 2 :]
        for trade_off in TRADE_OFFS:
            figures = [score(rows, half, trade_off) for half in (chosen, shown)]
            out.print(
                f"λ {trade_off}: choosing half NDCG {figures[0][0]:.4f} KL {figures[0][1]:.3f}; other half NDCG {figures[1][0]:.4f} KL {figures[1][1]:.3f}"
            )
        plain, ours = score(rows, shown, 0.0), score(rows, shown, TRADE_OFF)
        everyone = score(rows, users, 0.0), score(rows, users, TRADE_OFF)
        user = shown[0]
        listed = [one.id for one in rec.recommend(user, LIMIT, interests="auto")]
        same = listed == [one.id for one in reordered(rows[user], TRADE_OFF)]
    print(json.dumps({
        "trade_off": TRADE_OFF, "NDCG@10": [round(plain[0], 4), round(ours[0], 4)], "KL": [round(plain[1], 4), round(ours[1], 4)],
        "NDCG_change": round(ours[0] / plain[0] - 1, 4), "KL_change": round(ours[1] / plain[1] - 1, 4),
        "all_users": {"NDCG_change": round(everyone[1][0] / everyone[0][0] - 1, 4), "KL_change": round(everyone[1][1] / everyone[0][1] - 1, 4)},
        "adapter_gives_the_same_list": same,
    }))  # fmt: skip


def row(rec: Recommender, user: str, target: str) -> Row:
    """The candidates the adapter re-orders, the user's interests, and what came next."""
    pool = rec.recommend(user, LIMIT * POOL)
    return pool, {one.label: one.weight for one in rec.interests(user)}, target


def reordered(found: Row, trade_off: float) -> list[Recommendation]:
    """As ``recommend(interests="auto")`` does it."""
    pool, wanted, _ = found
    places = calibrated([one.score for one in pool], [topic(one) for one in pool], wanted, LIMIT, trade_off)
    return [pool[place] for place in places]


def topic(one: Recommendation) -> str | None:
    return one.topics[0] if one.topics else None


def score(rows: dict[str, Row], users: Sequence[str], trade_off: float) -> tuple[float, float]:
    """Mean NDCG@10 and mean KL divergence."""
    gains, costs = [], []
    for user in users:
        listed = reordered(rows[user], trade_off)
        place = next((rank for rank, one in enumerate(listed) if one.id == rows[user][2]), None)
        gains.append(0.0 if place is None else 1 / math.log2(place + 2))
        if rows[user][1]:
            costs.append(divergence(rows[user][1], [topic(one) for one in listed]))
    return float(np.mean(gains)), float(np.mean(costs))


if __name__ == "__main__":
    main()
