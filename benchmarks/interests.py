"""Prints the interests of real users for a reader to judge: weights, example titles, and what the users liked last.

``python -m benchmarks.interests --data ../shared/datasets --users 10`` runs MovieLens latest-small through the product, on a
real Qdrant. The users are drawn at random among those with at least 30 ratings. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from rich.text import Text

from benchmarks import movielens
from llmrec_qdrant import Event, Recommender, SpaceConfig
from llmrec_qdrant.cli.printing import out, print_interests, print_topics
from tests.services import QdrantServer

LEAST = 30
"""Fewest ratings of a user."""
LIKED = 4.0
SEED = 11


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--model", default=SpaceConfig().model)
    options = parser.parse_args()
    films = {film["id"]: film for film in movielens.items(options.data)}
    histories: dict[str, list[Event]] = defaultdict(list)
    for event in movielens.events(options.data):
        histories[event["user"]].append(Event(**event))
    able = sorted(user for user, events in histories.items() if len(events) >= LEAST)
    chosen = random.Random(SEED).sample(able, options.users)
    with QdrantServer() as server, Recommender.connect(server.url, space="films") as rec:
        size = {} if options.model != "hash" else {"size": 64}
        rec.create(SpaceConfig(rating_scale=(0.5, 5.0), model=options.model, **size))
        rec.upsert_items(list(films.values()))
        rec.load_events([event for user in chosen for event in histories[user]])
        rec.reconcile()
        rec.fit_topics()
        topics = rec.topics()
        print_topics(topics)
        counts = []
        for user in chosen:
            found = rec.interests(user)
            counts.append(len(found))
            print_interests(found, user)
            liked = [one for one in histories[user] if (one.value or 0) >= LIKED]
            last = sorted(liked, key=lambda one: one.ts, reverse=True)[:10]
            genres = [
                f"{films[str(one.item)]['title']} ({', '.join(films[str(one.item)]['payload']['genres'])})"
                for one in last
            ]
            out.print(Text(f"liked last: {'; '.join(genres)}\n", style="dim"))
    print(json.dumps({"topics": len(topics), "labels": [one.label for one in topics], "interests_per_user": counts}))


if __name__ == "__main__":
    main()
