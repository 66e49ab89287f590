"""Times as programs and people write them; what may be two times, or none, is refused."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_qdrant.contracts.times import UNITS, Ways, read_time

DAY = datetime(2024, 5, 1, tzinfo=UTC)
HALF_PAST = DAY + timedelta(hours=10, minutes=30)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2024", datetime(2024, 1, 1, tzinfo=UTC)), (2024, datetime(2024, 1, 1, tzinfo=UTC)),
        ("2024-05", DAY), ("2024/05", DAY), ("20240501", DAY), (20240501, DAY), (20240501.0, DAY), (" 2024-05-01 ", DAY),
        ("2024-5-1", DAY), ("2024/5/1", DAY), ("2024.05.01", DAY), ("1.5.2024", DAY), ("2024-05-01Z", DAY),
        ("2024-05-01 UTC", DAY), ("2024-W18-3", DAY),
        ("202405011030", HALF_PAST), ("20240501103000", HALF_PAST), ("20240501T103000Z", HALF_PAST),
        ("2024-05-01 10:30:00 UTC", HALF_PAST), ("2024-05-01 10:30:00.000 GMT", HALF_PAST),
        ("2024-05-01 18:30:00+08", HALF_PAST), ("2024-05-01 18:30:00 +0800", HALF_PAST), ("2024-05-01T18:30+08:00", HALF_PAST),
        ("2024-05-01 05:00-0530", HALF_PAST), ("2024-05-01 18:30 UTC+8", HALF_PAST),
        ("2024-05-01T18:30:00+08:00[Asia/Shanghai]", HALF_PAST), ("2024/05/01 10:30", HALF_PAST), ("2024/5/1 10:30:00 AM", HALF_PAST),
        ("2024-05-01 10:30:00,250", HALF_PAST + timedelta(milliseconds=250)),
        ("2024-05-01T10:30:00.123456789Z", HALF_PAST + timedelta(microseconds=123456)),
        ("5/13/2024 8:55:22 AM", datetime(2024, 5, 13, 8, 55, 22, tzinfo=UTC)),
        ("13/05/2024 12:05 am", datetime(2024, 5, 13, 0, 5, tzinfo=UTC)), ("5/5/2024", datetime(2024, 5, 5, tzinfo=UTC)),
        ("2024年5月1日", DAY), ("２０２４年０５月０１日", DAY), ("2024年5月", DAY), ("2024 年 5 月 1 日 10:30", HALF_PAST),
        ("2024年5月1日10时30分", HALF_PAST), ("2024年5月1日 上午10:30", HALF_PAST), ("2024年5月1日 下午3点5分", DAY + timedelta(hours=15, minutes=5)),
        ("2024年5月1日 10時30分0秒", HALF_PAST), ("2024년 5월 1일 오전 10시 30분", HALF_PAST),
        ("1.714559400E9", HALF_PAST), ("1714559400.0", HALF_PAST), (np.int64(1714559400), HALF_PAST),
        (np.datetime64("2024-05-01T10:30"), HALF_PAST), (date(2024, 5, 1), DAY),
        (datetime(1969, 7, 20, tzinfo=UTC), datetime(1969, 7, 20, tzinfo=UTC)), ("1969-07-20", datetime(1969, 7, 20, tzinfo=UTC)),
    ],
    ids=repr,
)  # fmt: skip
def test_a_time_is_read_as_it_is_written(written: object, expected: datetime) -> None:
    assert read_time(written).at == expected
    assert read_time(written).at.tzinfo is UTC


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (0, "0 is no time, but what stands for a missing one"), ("0", "missing"), (5, "between 1990 and 2100"),
        ("1714", "between 1990 and 2100"), (45413, "spreadsheet"), ("45413.5", "spreadsheet"), (202405, "may be a month"),
        (20241301, "between 1990 and 2100"), (19850101, "between 1990 and 2100"), (86_400 * 365, "between 1990 and 2100"),
        (1e22, "between 1990 and 2100"), (-1714559400, "between 1990 and 2100"), ("1.71E+09", "has lost digits"),
        ("05/01/2024", "the day or the month"), ("05-01-2024 10:30", "the day or the month"), ("05/01/24", "is no time"),
        ("13/13/2024", "month must be in 1..12"), ("2024-02-30", "is no time"), ("2024-05-01 25:00", "hour must be in 0..23"),
        ("2024-05-01 13:00 PM", "at most 12"), ("2024-05-01 10:30 PST", "is no time"), ("yesterday", "is no time"), ("", "is no time"),
        (True, "is no time"), (None, "is no time"), (math.nan, "is no time"), (np.datetime64("NaT"), "is no time"), (math.inf, "between"),
        ("0001-01-01T00:00:00+14:00", "outside the years 1 to 9999"), ([2024], "is no time"),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_time_or_may_be_two_is_refused(written: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_time(written)


@given(
    st.datetimes(datetime(1990, 1, 2), datetime(2026, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(sorted(UNITS)), st.sampled_from([int, str, float]),
)  # fmt: skip
def test_the_unit_of_unix_time_is_recognised(at: datetime, unit: str, kind: Any) -> None:
    at = at.replace(microsecond=0)
    moment = read_time(kind(int(at.timestamp()) * UNITS[unit]))
    assert (moment.at, moment.style) == (at, unit)


@given(
    st.datetimes(
        datetime(1, 1, 2), datetime(9998, 1, 1), timezones=st.sampled_from([UTC, timezone(timedelta(hours=8))])
    )
)
def test_iso_times_are_read_as_python_reads_them(at: datetime) -> None:
    assert read_time(at.isoformat()).at == at
    assert read_time(at.isoformat(sep=" ")).at == at


def test_a_zone_applies_to_times_without_their_own() -> None:
    ways = Ways(zone=ZoneInfo("Asia/Shanghai"))
    assert read_time("2024-05-01 18:30", ways) == (HALF_PAST, "ISO 8601", True)
    assert read_time("2024-05-01 10:30Z", ways) == (HALF_PAST, "ISO 8601", False)
    assert read_time(1714559400, ways).at == HALF_PAST
    assert read_time("20240502", ways).at == DAY + timedelta(hours=16)


def test_what_the_column_says_decides_the_day_and_serial_numbers() -> None:
    assert read_time("05/01/2024", Ways(day_first=False)).at == datetime(2024, 5, 1, tzinfo=UTC)
    assert read_time("05/01/2024", Ways(day_first=True)).at == datetime(2024, 1, 5, tzinfo=UTC)
    with pytest.raises(ValueError, match="month must be"):
        read_time("13/01/2024", Ways(day_first=False))
    assert read_time("45413.4375", Ways(serials=True)) == (HALF_PAST, "serial days of a spreadsheet", True)


def test_a_timestamp_of_pandas_is_a_plain_time() -> None:
    class Timestamp(datetime):
        """Like that of pandas: a datetime that keeps its class."""

    read = read_time(Timestamp(2024, 5, 1, 10, 30)).at
    assert (type(read), read) == (datetime, HALF_PAST)
