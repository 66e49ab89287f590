"""A small catalogue of items and events, for tests of what models learn from."""

from __future__ import annotations

from datetime import UTC, datetime

from llmrec_qdrant import SpaceConfig
from llmrec_qdrant.operations.clock import iso
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.points import Point
from workers.training.catalogue import Catalogue

CONFIG = SpaceConfig(model="hash", size=8, half_life_days=1e9)
ITEMS = "abcdef"


def catalogue(*texts: str) -> Catalogue:
    """Items a to f, then free texts under the ids t0, t1 and so on."""
    result = Catalogue()
    for number, name in enumerate(ITEMS):
        result.add_item(point_id("item", name), name, "", f"item {name}")
        result.indexes[number] = number
    for number, text in enumerate(texts):
        result.add_text(f"t{number}", text)
    return result


def event(ts: float, item: str | None, kind: str = "view", point: str = "") -> Point:
    """An event at ``ts`` seconds after the start of 2024."""
    moment = iso(datetime.fromtimestamp(1_704_067_200 + ts, UTC))
    return Point(point or f"e{ts}", {"user_id": "u", "item_id": item, "type": kind, "ts": moment, "value": None})
