"""MovieLens latest-small as rows of items and events, read from a folder that the user names."""

from __future__ import annotations

import csv
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["events", "five_core", "histories", "items"]

TAGS = 8
"""Tags per film that go into its text."""


def _rows(folder: Path, name: str) -> Iterator[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as handle:
        yield from csv.DictReader(handle)


def items(data: Path) -> Iterator[dict[str, Any]]:
    """One row per film: title, genres, plot and tags as text; year and genres as payload."""
    folder = data / "movielens_small"
    known = {row["movieId"]: row["tmdbId"] for row in _rows(folder, "links.csv")}
    plots = {
        row["movieId"]: row["overview"]
        for row in _rows(folder, "movies_with_overview.csv")
        # where the two files disagree about the film, the plot is often another film's
        if row["tmdb_id"] and known.get(row["movieId"]) == str(int(float(row["tmdb_id"])))
    }
    tags: dict[str, dict[str, None]] = {}
    for row in _rows(folder, "tags.csv"):
        tags.setdefault(row["movieId"], {})[row["tag"].strip()] = None
    for row in _rows(folder, "movies.csv"):
        film = row["movieId"]
        genres = [] if row["genres"].startswith("(") else row["genres"].split("|")
        year = re.search(r"\((\d{4})\)\s*$", row["title"])
        parts = [", ".join(genres), plots.get(film, ""), ", ".join(list(tags.get(film, {}))[:TAGS])]
        payload: dict[str, Any] = {"genres": genres}
        if year:
            payload["year"] = int(year[1])
        yield {"id": film, "title": row["title"].strip(), "text": ". ".join(p for p in parts if p), "payload": payload}


def events(data: Path) -> Iterator[dict[str, Any]]:
    """One row per rating."""
    for row in _rows(data / "movielens_small", "ratings.csv"):
        yield {
            "user": row["userId"],
            "type": "rating",
            "item": row["movieId"],
            "value": float(row["rating"]),
            "ts": int(row["timestamp"]),
        }


def five_core(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Users and films with at least five events each, again and again until nothing changes."""
    while True:
        users, films = Counter(one["user"] for one in events), Counter(one["item"] for one in events)
        kept = [one for one in events if users[one["user"]] >= 5 and films[one["item"]] >= 5]
        if len(kept) == len(events):
            return kept
        events = kept


def histories(data: Path) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]]]:
    """Events of the 5-core by user, oldest first, ties at random and not by id; and its films."""
    rows = five_core(list(events(data)))
    random.Random(7).shuffle(rows)
    found: dict[str, list[dict[str, Any]]] = {}
    for event in sorted(rows, key=lambda one: one["ts"]):
        found.setdefault(event["user"], []).append(event)
    kept = {event["item"] for event in rows}
    return found, [film for film in items(data) if film["id"] in kept]
