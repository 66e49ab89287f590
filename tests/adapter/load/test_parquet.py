"""Parquet: times, numbers and missing values as pandas writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmrec_qdrant import Recommender
from llmrec_qdrant.load.loader import load
from llmrec_qdrant.load.sources import Source
from tests.loading import (
    events,
    own_fields,
)


def test_parquet_times_numbers_and_missing_values(rec: Recommender, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from datetime import UTC, date, datetime
    from decimal import Decimal

    from pyarrow.parquet import write_table

    moment = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    rows = {
        "user": [7, 8], "type": ["view", "rating"], "item": ["m1", "m2"], "ts": [moment, moment],
        "value": [float("nan"), 4.0],
    }  # fmt: skip
    write_table(arrow.table(rows), tmp_path / "events.parquet")
    result = load(rec, Source(str(tmp_path / "events.parquet")), "events")
    assert (result.written, result.rejected) == (2, 0)  # NaN is how pandas writes that there is none
    found = {event["user_id"]: event for event in events(rec)}
    assert found["7"]["ts"] == "2023-11-14T22:13:20.000000Z"
    assert "value" not in found["7"]
    assert found["8"]["value"] == 4.0
    fine = arrow.array([1_700_000_000_123_456_789], arrow.timestamp("ns", "UTC"))  # as pandas writes times
    write_table(arrow.table({"user": ["9"], "type": ["view"], "item": ["m1"], "ts": fine}), tmp_path / "fine.parquet")
    assert load(rec, Source(str(tmp_path / "fine.parquet")), "events").rejected == 0
    assert {event["user_id"]: event["ts"] for event in events(rec)}["9"] == "2023-11-14T22:13:20.123456Z"
    things = {
        "id": ["a"], "price": [Decimal("3.50")], "day": [date(2024, 2, 29)], "tags": [["x", "y"]],
        "more": [{"at": moment, "n": Decimal("2")}],
    }  # fmt: skip
    write_table(arrow.table(things), tmp_path / "items.parquet")
    assert load(rec, Source(str(tmp_path / "items.parquet")), "items").rejected == 0
    assert own_fields(rec, "a") == {
        "price": 3.5, "day": "2024-02-29", "tags": ["x", "y"], "more": {"at": "2023-11-14T22:13:20+00:00", "n": 2},
    }  # fmt: skip
