"""Measures whether a session profile next to a long-term profile, mixed in one query, justifies a second set of vectors.

``python -m benchmarks.sessions --data ../shared/datasets`` uses the 5-core of MovieLens latest-small. The target is the last film
but one of each user (validation: the last is reserved for tests), and everything before it is known. *short* folds users
with the space's own decay (0.6 per step back), *long* with a slow decay (0.95); *mixed* queries both sets of legs in one
request. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
from qdrant_client import models

from benchmarks import movielens
from llmrec_qdrant import Event, Recommender, SpaceConfig
from llmrec_qdrant.cli.printing import out
from llmrec_qdrant.contracts.config import LEGS
from llmrec_qdrant.query.requests import LegQuery, combined, fused
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point
from tests.services import QdrantServer
from workers.evaluation.metrics import interval, p_value

LIMIT = 10
LONG = 0.95
GAP = 1_800
"""Seconds of silence that end a session."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default=SpaceConfig().model)
    options = parser.parse_args()
    histories, films = movielens.histories(options.data)
    size = {} if options.model != "hash" else {"size": 64}
    config = SpaceConfig(rating_scale=(0.5, 5.0), model=options.model, **size)
    with QdrantServer() as server, Recommender.connect(server.url, space="films") as rec:
        rec.create(config)
        rec.upsert_items(films)
        past = [Event(**event) for history in histories.values() for event in history[:-2]]
        for start in range(0, len(past), 5_000):
            rec.load_events(past[start : start + 5_000])
        rec.reconcile()
        users = sorted(histories)
        targets = [histories[user][-2]["item"] for user in users]
        short = vectors(rec, users)
        gains = {"short": gain([asked(rec, user, [short[user]]) for user in users], targets)}
        rec.create(config.model_copy(update={"position_decay": LONG, "collab_decay": LONG}))
        rec.reconcile()
        long = vectors(rec, users)
        gains["long"] = gain([asked(rec, user, [long[user]]) for user in users], targets)
        gains["mixed"] = gain([asked(rec, user, [short[user], long[user]]) for user in users], targets)
    many = np.array([len({one["ts"] // 86_400 for one in histories[user]}) > 1 for user in users])
    figures: dict[str, Any] = {name: round(float(values.mean()), 4) for name, values in gains.items()}
    low, high = interval(gains["mixed"] - gains["short"])
    figures |= {
        "users": len(users),
        "mixed_minus_short": [round(low, 4), round(high, 4)],
        "p": round(p_value(gains["mixed"], gains["short"]), 3),
        "users_of_several_days": int(many.sum()),
        "of_several_days": {name: round(float(values[many].mean()), 4) for name, values in gains.items()},
        "events_in_the_session": float(np.median([session(histories[user][:-2]) for user in users])),
    }
    out.print(figures)
    print(json.dumps(figures))


def session(history: Sequence[dict[str, Any]]) -> int:
    """Events of the current session."""
    count = 1
    while count < len(history) and history[-count]["ts"] - history[-count - 1]["ts"] <= GAP:
        count += 1
    return count


def vectors(rec: Recommender, users: Sequence[str]) -> dict[str, list[LegQuery]]:
    """The legs of users as they are now."""
    found: dict[str, list[LegQuery]] = {}
    for user in users:
        (point,) = rec.client.retrieve("films_users", [point_id("user", user)], with_vectors=list(LEGS))
        named = point.vector if isinstance(point.vector, dict) else {}
        found[user] = [LegQuery(leg, models.NearestQuery(nearest=named[leg])) for leg in LEGS if leg in named]  # type: ignore[arg-type]
    return found


def asked(rec: Recommender, user: str, sets: Sequence[list[LegQuery]]) -> list[str]:
    """One request with all the legs of all sets."""
    (point,) = rec.client.retrieve("films_users", [point_id("user", user)], with_payload=[Key.SEEN])
    seen = combined(None, None, [point_id("item", one) for one in Point.of(point).payload[Key.SEEN]])
    config = rec.config
    requests = [fused(legs, weights=config.weights, filter=seen, limit=LIMIT, depth=config.prefetch) for legs in sets]
    prefetch = [one for request in requests for one in request.prefetch or []]  # type: ignore[union-attr]
    request = requests[0].model_copy(update={"prefetch": prefetch})
    (answer,) = rec.client.query_batch_points("films_items", [request])
    return [str((one.payload or {})[Key.ITEM_ID]) for one in answer.points]


def gain(lists: Sequence[Sequence[str]], targets: Sequence[str]) -> np.ndarray:
    """NDCG@10 of each list, for one wanted item."""
    return np.array(
        [1 / math.log2(some.index(one) + 2) if one in some else 0.0 for some, one in zip(lists, targets, strict=True)]
    )


if __name__ == "__main__":
    main()
