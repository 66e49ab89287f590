"""What files and people write becomes the kind of its field, or stays to be refused."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_qdrant.contracts.config import FieldKind
from llmrec_qdrant.contracts.times import Ways
from llmrec_qdrant.query.conversion import as_kind, as_kinds
from llmrec_qdrant.query.fields import fits
from llmrec_qdrant.query.values import READERS, period

UNCHANGED = object()

WRITTEN: dict[FieldKind, list[tuple[Any, Any]]] = {
    "integer": [
        ("1995", 1995), ("1995.0", 1995), (1995.0, 1995), ("１９９５", 1995), ("1,234,567", 1234567), ("1 234", 1234), ("1'234", 1234),
        ("2e3", 2000), ("nan", None), (math.nan, None), ("N/A", None), ("", None), (None, None), (np.int32(7), 7),
        ("3.5", UNCHANGED), ("soon", UNCHANGED), ("1,23", UNCHANGED), ("9" * 30, UNCHANGED), (True, UNCHANGED),
    ],
    "float": [
        ("1,234.50", 1234.5), ("$1,299.00", 1299.0), ("3.50 €", 3.5), ("￥88", 88.0), (".5", 0.5), ("1e5", 1e5), (7, 7), ("nan", None),
        (Decimal("9.99"), 9.99), ("\u00a01\u202f234.5", 1234.5), ("-1,000", -1000.0), ("inf", UNCHANGED), ("12 %", UNCHANGED),
        ("1,2,3", UNCHANGED), (math.inf, UNCHANGED),
    ],
    "bool": [
        ("yes", True), ("No", False), ("TRUE", True), ("f", False), ("Y", True), ("是", True), ("否", False), (1, True), (0.0, False),
        (np.bool_(True), True), ("", None), ("maybe", UNCHANGED), ("2", UNCHANGED),
    ],
    "datetime": [
        ("2024-05-01", "2024-05-01"), ("2024-05-01T10:30:00+02:00", "2024-05-01T10:30:00+02:00"),
        ("2024-05", "2024-05-01T00:00:00Z"), ("1977", "1977-01-01T00:00:00Z"), (1977, "1977-01-01T00:00:00Z"),
        (1977.0, "1977-01-01T00:00:00Z"), ("17.05.2024", "2024-05-17T00:00:00Z"), ("2024年5月1日", "2024-05-01T00:00:00Z"),
        ("20240501", "2024-05-01T00:00:00Z"), (1714559400, "2024-05-01T10:30:00Z"), ("1714559400000", "2024-05-01T10:30:00Z"),
        ("2024-05-01 10:30:00 UTC", "2024-05-01T10:30:00Z"), ("1968/4/2", "1968-04-02T00:00:00Z"), (date(2024, 5, 1), "2024-05-01T00:00:00Z"),
        (datetime(2024, 5, 1, 12, tzinfo=timezone(timedelta(hours=2))), "2024-05-01T10:00:00Z"),
        (np.datetime64("NaT"), None), ("NaT", None), ("05/06/2024", UNCHANGED), ("soon", UNCHANGED), (12, UNCHANGED), ("2024-13", UNCHANGED),
    ],
    "uuid": [
        ("{0F14D0AB-9605-4A62-A9E4-5ED26688389B}", UNCHANGED), (" 0f14d0ab96054a62a9e45ed26688389b ", "0f14d0ab-9605-4a62-a9e4-5ed26688389b"),
        ("", None), ("seven", UNCHANGED),
    ],
    "geo": [
        ('{"lon": 2.35, "lat": 48.85}', {"lon": 2.35, "lat": 48.85}), ({"latitude": "48.85", "longitude": "2.35"}, {"lon": 2.35, "lat": 48.85}),
        ({"lat": 48.85, "lng": 2.35}, {"lon": 2.35, "lat": 48.85}), ({"lat": 98.85, "lng": 2.35}, UNCHANGED), ("48.85", UNCHANGED), ("", None),
    ],
    "keyword": [(7, "7"), ("007", "007"), (1.5, "1.5"), ("nan", "nan"), ("", ""), (True, UNCHANGED)],
    "text": [(7, "7"), (" a ", " a ")],
}  # fmt: skip


@pytest.mark.parametrize("kind", WRITTEN)
def test_what_is_written_is_read_by_the_kind_of_its_field(kind: FieldKind) -> None:
    for value, wanted in WRITTEN[kind]:
        found = as_kind(value, kind)
        if wanted is UNCHANGED:
            assert found is value or found == value, value
            assert kind in {"uuid"} or not fits(found, kind), value
        else:
            assert found == wanted and type(found) is type(wanted), (value, found)


def test_every_kind_is_in_the_table() -> None:
    assert set(WRITTEN) == set(get_args(FieldKind))


@pytest.mark.parametrize(
    ("text", "ways", "wanted"),
    [
        ("05/06/2024", Ways(day_first=True), "2024-06-05T00:00:00Z"),
        ("05/06/2024", Ways(day_first=False), "2024-05-06T00:00:00Z"),
        ("2024-05-01 10:30", Ways(zone=timezone(timedelta(hours=8))), "2024-05-01T02:30:00Z"),
        ("2024-05-01", Ways(zone=timezone(timedelta(hours=8))), "2024-05-01"),
        ("1977", Ways(zone=timezone(timedelta(hours=8))), "1977-01-01T00:00:00Z"),
        (45413, Ways(serials=True), "2024-05-01T00:00:00Z"),
    ],
)
def test_a_column_decides_what_a_time_leaves_open(text: Any, ways: Ways, wanted: str) -> None:
    assert as_kind(text, "datetime", ways) == wanted


def test_paths_reach_into_objects_and_lists() -> None:
    payload = {"cast": [{"born": "1977"}, {"age": 3}, "x"], "odd.key": "yes", "film": {"year": "1,995"}, "more": "1"}
    fields: dict[str, FieldKind] = {
        "cast[].born": "datetime", '"odd.key"': "bool", "film.year": "integer", "gone.x": "bool", "more.x": "bool",
    }  # fmt: skip
    assert as_kinds(payload, fields, {}) == {
        "cast": [{"born": "1977-01-01T00:00:00Z"}, {"age": 3}, "x"],
        "odd.key": True,
        "film": {"year": 1995},
        "more": "1",
    }


@given(st.sampled_from(sorted(READERS)), st.one_of(st.text(max_size=12), st.integers(), st.floats(), st.booleans()))
def test_what_a_filter_reads_is_stored_as_what_it_compares(kind: FieldKind, value: Any) -> None:
    """A spelling that filters understand finds the item whose file held the same spelling."""
    try:
        asked = READERS[kind](value)
    except ValueError:
        return
    stored = as_kind(value, kind)
    if stored is None:  # a spelling of a missing value
        return
    if kind == "datetime":
        assert fits(stored, kind) and period(stored)[0] == asked[0].astimezone(UTC)
    else:
        assert fits(stored, kind) and READERS[kind](stored) == asked


@given(st.sampled_from(sorted(WRITTEN)), st.one_of(st.text(max_size=12), st.integers(), st.floats(), st.none()))
def test_reading_twice_changes_nothing(kind: FieldKind, value: Any) -> None:
    once = as_kind(value, kind)
    again = as_kind(once, kind)
    assert again == once or once != once
