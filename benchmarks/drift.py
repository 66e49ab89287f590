"""Measures how fast a list follows a user: seconds through a real Celery worker, and events until a new interest leads.

``python -m benchmarks.drift`` uses real Qdrant, Redis and Celery with generated texts and the hash encoder, since events about
known items need no model. Time runs from the return of `track` until the user's vectors, and so the next list, have changed.
``--embedded`` takes a folder instead, where `track` itself does the work: then time runs from its call.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from llmrec_qdrant.cli.printing import out
from tests.services import CeleryWorker, QdrantServer, RedisServer

TOPICS = 6
WORDS = 24
ITEMS = 80
"""Texts per topic."""
DAY = 86_400.0
NOW = 1_700_000_000.0
PATIENCE = 10.0


def catalogue(random: np.random.Generator) -> list[Item]:
    """Texts of eight words, of one vocabulary per topic."""
    vocabularies = [[f"{chr(97 + topic)}{_word(number)}" for number in range(WORDS)] for topic in range(TOPICS)]
    return [
        Item(id=f"{topic}-{number}", title=" ".join(random.choice(words, 8, replace=False)))
        for topic, words in enumerate(vocabularies)
        for number in range(ITEMS)
    ]


def _word(number: int) -> str:
    return "".join("bdgklmnprt"[number // 10**place % 10] + "aeiou"[(number + place) % 5] for place in range(3))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--embedded", action="store_true", help="a folder instead of servers")
    options = parser.parse_args()
    random = np.random.default_rng(7)
    if options.embedded:
        with Recommender.connect(path=":memory:", space="drift") as rec:
            _fill(rec, random)
            figures = latency(rec, options.tries, random, inline=True)
            figures |= switches(rec, options.users, random)
        print(json.dumps(figures))
        return
    with QdrantServer() as qdrant, RedisServer() as redis, CeleryWorker(redis.url, qdrant.url):
        inline = Recommender.connect(qdrant.url, space="drift")
        _fill(inline, random)
        with Recommender.connect(qdrant.url, space="drift", broker=redis.url) as rec:
            figures = latency(rec, options.tries, random)
        figures |= switches(inline, options.users, random)
    print(json.dumps(figures))


def _fill(rec: Recommender, random: np.random.Generator) -> None:
    """A catalogue with topics, and twenty users with a month of events."""
    rec.create(SpaceConfig(model="hash", size=64))
    rec.upsert_items(catalogue(random))
    for user in range(20):
        rec.track(_events(f"u{user}", user % TOPICS, 30, NOW, random))
    rec.reconcile()
    rec.fit_topics()


def _events(user: str, topic: int, count: int, start: float, random: np.random.Generator, **more: Any) -> list[Event]:
    """Generate one event per day about a topic."""
    return [
        Event(user=user, item=f"{topic}-{random.integers(ITEMS)}", type="view", ts=start + day * DAY, **more)
        for day in range(count)
    ]


def latency(rec: Recommender, tries: int, random: np.random.Generator, inline: bool = False) -> dict[str, float]:
    """Milliseconds from `track` returning, or with ``inline`` from its call, to a list that has changed."""
    seconds: list[float] = []
    unchanged = 0
    for number in range(tries + 5):
        user, topic = f"u{number % 20}", int(random.integers(TOPICS))
        before = [one.id for one in rec.recommend(user, 10)]
        moment = NOW + 40 * DAY + number * 3_600
        seen = {one for interest in rec.interests(user) for one in interest.items}
        item = next(f"{topic}-{k}" for k in random.permutation(ITEMS) if f"{topic}-{k}" not in {*seen, *before})
        called = time.monotonic()
        rec.track([Event(user=user, item=item, type="purchase", ts=moment)])
        began = called if inline else time.monotonic()
        while [one.id for one in rec.recommend(user, 10)] == before:
            if time.monotonic() - began > PATIENCE:
                unchanged += 1
                break
        else:
            seconds.append(time.monotonic() - began)
    warm = np.array(seconds[5:]) * 1_000
    found = {
        "changed": len(seconds),
        "unchanged": unchanged,
        "p50_ms": round(float(np.percentile(warm, 50)), 1),
        "p95_ms": round(float(np.percentile(warm, 95)), 1),
        "max_ms": round(float(warm.max()), 1),
    }
    out.print(f"track → changed list: {found}")
    return found


def switches(rec: Recommender, users: int, random: np.random.Generator) -> dict[str, float]:
    """People with a month of one topic turn to another: events until it leads, and what is left of the old one then."""
    needed: list[int] = []
    kept: list[float] = []
    listed: list[int] = []
    labels = {topic: _label(rec, topic) for topic in range(TOPICS)}
    for number in range(users):
        user, old, new = f"switch{number}", number % TOPICS, (number + 1 + number // TOPICS) % TOPICS
        new = (old + 1) % TOPICS if new == old else new
        rec.track(_events(user, old, 30, NOW, random))
        leads = shown = 0
        for step in range(1, 16):
            moment = NOW + 31 * DAY + step * 120
            rec.track([Event(user=user, item=f"{new}-{random.integers(ITEMS)}", type="view", ts=moment)])
            interests = rec.interests(user)
            if not shown and sum(one.id.startswith(f"{new}-") for one in rec.recommend(user, 10)) >= 5:
                shown = step
            if not leads and interests and interests[0].topic == labels[new]:
                leads = step
                kept.append(next((one.weight for one in interests if one.topic == labels[old]), 0.0))
            if leads and shown:
                break
        needed.append(leads or 16)
        listed.append(shown or 16)
    found = {
        "events_until_it_leads_mean": round(float(np.mean(needed)), 2),
        "events_until_it_leads_max": max(needed),
        "events_until_half_the_list_mean": round(float(np.mean(listed)), 2),
        "share_left_of_the_old": round(float(np.mean(kept)), 3) if kept else 0.0,
    }
    out.print(f"{users} users who turn to another topic: {found}")
    return found


def _label(rec: Recommender, topic: int) -> str:
    """Id of the topic whose keywords begin with the letter of a vocabulary."""
    return next(one.id for one in rec.topics() if one.keywords[0].startswith(chr(97 + topic)))


if __name__ == "__main__":
    main()
