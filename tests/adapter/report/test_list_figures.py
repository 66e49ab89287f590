"""What users care about and what their lists hold, on four items and two users, by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from llmrec_qdrant import Interest, SpaceStatus, Topic
from llmrec_qdrant.operations.overview import MappedItem, Overview, UserRow
from llmrec_qdrant.report.list_figures import calibration, coverage, long_tail

AT = "2026-01-01T00:00:00.000000Z"


def interest(topic: str, weight: float) -> Interest:
    return Interest(topic=topic, label=topic, weight=weight, last_at=datetime(2026, 1, 1, tzinfo=UTC))


STATUS = SpaceStatus(
    space="s", model="hash", items=4, items_stale=0, items_unreadable=0, users=2, users_stale=0, events=5,
    events_unfolded=0, texts=0, texts_stale=0, set_aside=0,
)  # fmt: skip
OVERVIEW = Overview(
    space="s", made_at=AT, status=STATUS, topics=[Topic(id="1", label="tea"), Topic(id="2", label="sea")], centroids={},
    items=[MappedItem("a", "A", "1"), MappedItem("b", "B", "1"), MappedItem("c", "C", "2"), MappedItem("d", "D", "")],
    events=[("a", AT), ("a", AT), ("a", AT), ("b", AT), ("c", AT)],
    users=[UserRow("u", 3, AT, (interest("1", 0.75), interest("2", 0.25))), UserRow("v", 2, AT, (interest("2", 1.0),))],
    lists={"u": ["b", "c"], "v": ["b", "d", "a", "c"]},
)  # fmt: skip


def shares(figure: Any) -> dict[str, dict[str, float]]:
    return {bars.name: dict(zip(bars.y, bars.x, strict=True)) for bars in figure.data}


def test_attention_and_lists_are_means_over_users() -> None:
    """tea: attention (.75 + 0) / 2, lists (1/2 + 2/4) / 2; sea: attention (.25 + 1) / 2, lists (1/2 + 1/4) / 2."""
    drawn = shares(calibration(OVERVIEW))
    assert drawn["share of the attention"] == pytest.approx({"tea": 37.5, "sea": 62.5})
    assert drawn["share of the lists"] == pytest.approx({"tea": 50.0, "sea": 37.5})


def test_the_long_tail_orders_items_by_events_and_adds_up() -> None:
    """Events a 3, b 1, c 1, d 0 of 5; places of the lists a 1, b 2, c 2, d 1 of 6."""
    events, places = long_tail(OVERVIEW).data
    assert list(events.x) == [0, 25, 50, 75, 100]
    assert list(events.y) == pytest.approx([0, 60, 80, 100, 100])
    assert list(places.y) == pytest.approx([0, 100 / 6, 50, 500 / 6, 100])


def test_coverage_counts_different_items() -> None:
    assert coverage(OVERVIEW) == "The lists of 2 users show 4 items, 100.0 % of the catalogue."
