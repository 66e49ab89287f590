"""Draws `docs/images/floors.svg` from the import contracts in `pyproject.toml`: `python docs/scripts/floors.py`.

The picture shows the contracts that are checked, so it cannot disagree with the code.
"""

from __future__ import annotations

import re
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PICTURE = ROOT / "docs" / "images" / "floors.svg"

ROOMS = {
    "cli": "commands, tables, progress bars",
    "load": "files and databases in, rejects out",
    "recommender": "the public classes: one line per method",
    "connect": "addresses to clients and queues",
    "report": "figures, and one HTML page of them",
    "operations": "what each method does, step by step",
    "query": "pure: requests, filters, reranking",
    "queues": "Celery, in process, none",
    "embedded": "Qdrant Edge in this process",
    "space": "collections, keys, ids, conditions",
    "contracts": "what goes in and comes out",
    "settings": "the environment; stubs for tests",
    "errors": "one tree of exceptions",
    "tasks": "Celery tasks",
    "app": "the Celery application",
    "dispatch": "message → work",
    "jobs": "runs a job under its lease",
    "training": "examples, towers, trainer, versions",
    "evaluation": "splits, metrics, evaluate, tune",
    "reembed": "another model, blue/green",
    "reconcile": "what is stale → messages",
    "topics": "clusters, keywords, naming, fit",
    "generate": "texts by a language model, checked",
    "users": "events → a user's legs, interests",
    "items": "text → vectors, topics, collab rows",
    "encoding": "encoder, backends, registry",
    "behaviour": "pure: weights, fold, co-occurrence",
    "text": "pure: clean, words, idf",
    "storage": "typed store, leases",
}
"""What a room is for, in a few words."""

WIDTH, ROW, GAP, TOP = 400, 46, 6, 64


def layers(contract: str) -> list[list[str]]:
    """Rooms of one package from the top floor down; rooms on one floor share a list."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (floors,) = (entry["layers"] for entry in contracts if entry["id"] == contract)
    return [[room.rpartition(".")[2] for room in re.findall(r"[\w.]+", floor)] for floor in floors]


def house(title: str, floors: list[list[str]], left: int) -> list[str]:
    """One package as a stack of floors."""
    parts = [f'<text class="title" x="{left + WIDTH / 2}" y="44">{escape(title)}</text>']
    for number, rooms in enumerate(floors):
        top = TOP + number * (ROW + GAP)
        about = next((ROOMS[room] for room in rooms if room in ROOMS), "")
        parts += [
            f'<rect class="floor" x="{left}" y="{top}" width="{WIDTH}" height="{ROW}" rx="6"/>',
            f'<text class="room" x="{left + 14}" y="{top + 20}">{escape(" · ".join(rooms))}</text>',
            f'<text class="about" x="{left + 14}" y="{top + 37}">{escape(about)}</text>',
        ]
    return parts


def arrow(x: int, height: int) -> list[str]:
    """The direction of imports."""
    middle = TOP + height / 2
    return [
        f'<path class="arrow" d="M{x} {TOP} V{TOP + height} m-6 -10 l6 10 l6 -10"/>',
        f'<text class="about" transform="translate({x - 10} {middle}) rotate(-90)" text-anchor="middle">imports point down</text>',
    ]


def door(top: int) -> list[str]:
    """How the two packages know each other."""
    lines = [
        "The workers import the adapter's contracts and operations.",
        "The adapter never imports the workers: queues/inline",
        "opens them by name, and only where they are installed.",
    ]
    return [f'<text class="about" x="60" y="{top + 20 * number}">{line}</text>' for number, line in enumerate(lines)]


def draw() -> str:
    """The whole picture."""
    adapter, workers = layers("adapter"), layers("workers")
    height = max(len(adapter), len(workers)) * (ROW + GAP)
    right = 60 + WIDTH + 60
    size = f"{right + WIDTH + 20} {TOP + height + 16}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img">',
        "<title>The floors of both packages</title>",
        "<style>text{font-family:system-ui,'DejaVu Sans',sans-serif;fill:#1f2933}.title{font-size:20px;font-weight:600;"
        "text-anchor:middle}.room{font-size:15px;font-weight:600}.about{font-size:12.5px;fill:#52606d}"
        ".floor{fill:#e6f0f5;stroke:#68a0b3}.arrow{fill:none;stroke:#68a0b3;stroke-width:2}</style>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        *house("llmrec_qdrant: the adapter", adapter, 50),
        *house("workers", workers, right),
        *arrow(30, height - GAP),
        *door(TOP + len(adapter) * (ROW + GAP) + 30),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(draw(), "utf-8")
