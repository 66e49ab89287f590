"""Catalogues with users for ``benchmarks.words``: films with ratings (MovieLens), Chinese headlines, and the sample of ``llmrec demo``."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from benchmarks import movielens
from llmrec_qdrant import Event, Item, SpaceConfig
from llmrec_qdrant.cli import demo

__all__ = ["CONFIGS", "catalogue"]

FILMS = 1_200
"""The films with the most ratings."""
LIKED = 4.0
PER_CLASS = 90
"""Headlines per class of the test set of THUC."""
TAKEN = 8
"""Headlines that each invented reader took: of two classes, the first three times as often."""
START = 1_700_000_000
CONFIGS = {
    "movielens": SpaceConfig(rating_scale=(0.5, 5.0)),
    "chinese": SpaceConfig(),
    "demo": demo.DEMO_CONFIG,
}


def catalogue(name: str, data: Path, users: int) -> tuple[list[Item], list[Event], list[str]]:
    """Return items, events, and the users to write about."""
    if name == "movielens":
        return _films(data, users)
    if name == "chinese":
        return _headlines(data, users)
    events = [Event.parse(row) for row in demo._sample("events")]
    return [Item.parse(row) for row in demo._sample("items")], events, sorted({event.user for event in events})[:users]


def _films(data: Path, users: int) -> tuple[list[Item], list[Event], list[str]]:
    rows = list(movielens.events(data))
    often = {film for film, _ in Counter(row["item"] for row in rows).most_common(FILMS)}
    kept = [row for row in rows if row["item"] in often]
    able = sorted(user for user, count in Counter(row["user"] for row in kept).items() if 20 <= count <= 150)
    random.Random(5).shuffle(able)
    shown = set(able[:200])
    films = [Item(**film) for film in movielens.items(data) if film["id"] in often]
    return films, [Event(**row) for row in kept if row["user"] in shown], able[:users]


def _headlines(data: Path, users: int) -> tuple[list[Item], list[Event], list[str]]:
    by_class: dict[str, list[str]] = {}
    for line in (data / "topics_zh" / "test.txt").read_text(encoding="utf-8").splitlines():
        title, _, label = line.rpartition("\t")
        by_class.setdefault(label, []).append(title)
    items = [
        Item(id=f"{label}-{n}", title=title)
        for label, titles in by_class.items()
        for n, title in enumerate(titles[:PER_CLASS])
    ]
    chance, events = random.Random(3), []
    readers = [f"reader{n}" for n in range(max(users, 60))]
    for reader in readers:
        first, second = chance.sample(sorted(by_class), 2)
        for step in range(TAKEN):
            label = first if chance.random() < 0.75 else second
            item = f"{label}-{chance.randrange(PER_CLASS // 3)}"
            events.append(Event(user=reader, item=item, type="view", ts=START + 3_600 * step))
    return items, events, readers[:users]
