"""Reads points in time as programs and people write them: ISO 8601, Unix time, compact and Chinese dates.

A number or a date in figures is a guess. It is accepted only if exactly one reading lies between 1990 and 2100; all others
are refused with what to write instead.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple

from llmrec_qdrant.contracts.plain import is_missing, plain
from llmrec_qdrant.errors import show

__all__ = ["DEFAULT", "ISO", "Moment", "Ways", "read_time"]

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""A guess that lands earlier is refused: it is more likely to be a number of another kind."""

LATEST = datetime(2100, 1, 1, tzinfo=UTC)

UNITS = {"Unix seconds": 1, "Unix milliseconds": 10**3, "Unix microseconds": 10**6, "Unix nanoseconds": 10**9}
"""Units of Unix time; between 1990 and 2100 their numbers do not overlap."""

COMPACT = {4: "%Y", 8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""Digits of a whole number → the date that it may spell. Six digits may mean 2024-05 or 2020-24-05: refused."""

EXCEL_EPOCH = datetime(1899, 12, 30)
"""Day 0 of the serial numbers of spreadsheets."""

ISO = "ISO 8601"
SERIAL = "serial days of a spreadsheet"

NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d{1,3})?", re.ASCII)

_DATES = (
    r"(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})",
    r"(?P<year>\d{4})[-/](?P<month>\d{1,2})",
    r"(?P<year>\d{4}) ?[年년](?: ?(?P<month>\d{1,2}) ?[月월](?: ?(?P<day>\d{1,2}) ?[日号號일])?)?",
    r"(?P<first>\d{1,2})(?P<mark>[-/.])(?P<second>\d{1,2})(?P=mark)(?P<year>\d{4})",
)

_TIME = (
    r"(?:(?P<before>上午|下午|午前|午後|오전|오후) ?)?(?P<hour>\d{1,2}) ?[:时時点點시] ?(?P<minute>\d{1,2})"
    r"(?: ?[:分분] ?(?:(?P<second_of>\d{1,2})(?:[.,](?P<fraction>\d{1,12}))? ?[秒초]?)?)?(?: ?(?P<after>[AaPp])\.?[Mm]\.?)?"
)

_ZONE = r" ?(?P<zone>Z|z|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d{2})?|UTC|GMT|utc|gmt)?(?:\[[\w/+-]+\])?"

_PATTERNS = tuple(
    re.compile(rf"{written}(?:(?: ?T ?|,? ?){_TIME}{_ZONE}|(?: ?(?:Z|UTC|GMT)))?", re.ASCII) for written in _DATES
)


class Moment(NamedTuple):
    """A time that was read, how it was written, and whether its zone had to be assumed."""

    at: datetime
    style: str = ISO
    naive: bool = False


@dataclass(frozen=True)
class Ways:
    """How to read times whose writing leaves something open."""

    zone: tzinfo = UTC
    """Zone of times that do not name theirs."""
    day_first: bool | None = None
    """Whether 01/05/2024 is 1 May; None refuses it, unless one number is above 12."""
    serials: bool = False
    """Whether 45413.5 is a day in the count of a spreadsheet."""


DEFAULT = Ways()


def read_time(value: object, ways: Ways = DEFAULT) -> Moment:
    """Read a time; the result is in UTC.

    Raises :class:`ValueError` for what is no time, or may be two.

    >>> read_time("2024年5月1日 10:30", Ways()).at.isoformat(), read_time(1714559400000).style
    ('2024-05-01T10:30:00+00:00', 'Unix milliseconds')
    """
    value = plain(value)
    if is_missing(value) or isinstance(value, bool):
        raise ValueError(f"{show(value)} is no time: write ISO 8601, such as 2024-05-01T10:30:00Z, or Unix seconds")
    if isinstance(value, str):
        text = " ".join(unicodedata.normalize("NFKC", value).split())
        return _number(text, ways) if NUMBER.fullmatch(text) else _text(text, ways)
    if isinstance(value, datetime):
        return _placed(value, ISO, ways)
    if isinstance(value, date):
        return _placed(datetime(value.year, value.month, value.day), ISO, ways)
    if isinstance(value, Real | Decimal):
        return _number(value, ways)
    raise ValueError(f"{show(value)} is no time: write ISO 8601, such as 2024-05-01T10:30:00Z, or Unix seconds")


def _placed(value: datetime, style: str, ways: Ways) -> Moment:
    """Move a time to UTC; without a zone of its own, it is read in that of ``ways``."""
    exact = datetime(*value.timetuple()[:6], value.microsecond, tzinfo=value.tzinfo or ways.zone, fold=value.fold)
    try:
        return Moment(exact.astimezone(UTC), style, value.tzinfo is None)
    except OverflowError:
        raise ValueError(f"{value.isoformat()} lies outside the years 1 to 9999 in UTC") from None


def _number(value: Any, ways: Ways) -> Moment:
    """Read a number, or its text, as the only kind of time that lands between 1990 and 2100."""
    text = str(value)
    if re.fullmatch(r"[+-]?\d(\.\d{0,4})?[eE][+-]?\d+", text) and isinstance(value, str):
        raise ValueError(f"{text!r} has lost digits of a time: export the column as whole numbers")
    exact = Decimal(text)
    if exact.is_finite() and abs(exact) < 10**20:
        for moment in _readings(exact, ways):
            if EARLIEST <= moment.at < LATEST:
                return moment
    raise ValueError(_no_number(text, exact))


def _readings(exact: Decimal, ways: Ways) -> Iterator[Moment]:
    """Yield every reading of a number."""
    digits = str(int(exact)) if exact == int(exact) else ""
    if written := COMPACT.get(len(digits)):
        with suppress(ValueError):
            yield _placed(datetime.strptime(digits, written), f"dates written as {_spelling(written)}", ways)
    if ways.serials and 1 <= exact < 73051:
        yield _placed(EXCEL_EPOCH + timedelta(seconds=round(float(exact) * 86_400)), SERIAL, ways)
    for style, scale in UNITS.items():
        if not 0 <= exact / scale < 10**10:
            continue
        if scale == 1:
            yield Moment(datetime.fromtimestamp(float(exact), UTC), style)
        else:
            since = timedelta(microseconds=int(exact * 10**6 / scale))
            yield Moment(datetime(1970, 1, 1, tzinfo=UTC) + since, style)


def _spelling(written: str) -> str:
    for code, spelled in {"%Y": "YYYY", "%m": "MM", "%d": "DD", "%H": "hh", "%M": "mm", "%S": "ss"}.items():
        written = written.replace(code, spelled)
    return written


def _no_number(text: str, exact: Decimal) -> str:
    shown = text if len(text) <= 30 else text[:27] + "..."
    advice = "write it in ISO 8601, such as 2024-05-01"
    if exact == 0:
        return f"{shown} is no time, but what stands for a missing one: leave it empty"
    if re.fullmatch(r"\d{5}(\.\d*)?", text):
        return f"{shown} may be the serial number of a day in a spreadsheet: {advice}"
    if re.fullmatch(r"\d{6}(\.0*)?", text):
        return f"{shown} may be a month, or a day with a year of two digits: {advice}"
    return f"{shown} is no time between 1990 and 2100, neither in Unix time nor as YYYYMMDD: {advice}"


def _text(text: str, ways: Ways) -> Moment:
    for pattern in _PATTERNS:
        if match := pattern.fullmatch(text):
            return _matched(text, match.groupdict(), ways)
    try:  # the rarer spellings of ISO 8601, such as 20240501T103000Z and 2024-W18-3
        return _placed(datetime.fromisoformat(text), ISO, ways)
    except ValueError:
        shown = show(text)
        raise ValueError(f"{shown} is no time: write ISO 8601, such as 2024-05-01T10:30:00Z, or Unix seconds") from None


def _matched(text: str, parts: dict[str, str | None], ways: Ways) -> Moment:
    style = ISO if parts.get("mark") == "-" or text.isascii() else "dates in Chinese, Japanese or Korean"
    month, day = parts.get("month"), parts.get("day")
    if first := parts.get("first"):
        day, month, style = _ordered(text, first, parts, ways)
    try:
        read = datetime(
            int(parts["year"] or 0), int(month or 1), int(day or 1), _hour(parts), int(parts["minute"] or 0),
            int(parts["second_of"] or 0), int(((parts["fraction"] or "") + "000000")[:6]), tzinfo=_zone(parts["zone"]),
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{show(text)} is no time: {error}") from None
    if text.endswith(("Z", "UTC", "GMT")):
        read = read.replace(tzinfo=UTC)
    return _placed(read, style, ways)


def _ordered(text: str, first: str, parts: dict[str, str | None], ways: Ways) -> tuple[str, str, str]:
    """Return day, month and style of a date that ends with its year; a dotted date begins with the day."""
    second = parts["second"] or ""
    day_first = True if parts["mark"] == "." else ways.day_first
    if day_first is None and int(first) != int(second):
        if int(first) <= 12 and int(second) <= 12:
            raise ValueError(
                f"{show(text)} may begin with the day or the month: write it in ISO 8601, such as 2024-05-01"
            )
        day_first = int(first) > 12
    style = "day/month/year" if day_first else "month/day/year"
    return (first, second, style) if day_first else (second, first, style)


def _hour(parts: dict[str, str | None]) -> int:
    """Return the hour, from 0 to 23."""
    hour = int(parts["hour"] or 0)
    half = parts["before"] or (parts["after"] or "").lower()
    if not half:
        return hour
    if hour > 12 and not parts["before"]:
        raise ValueError("an hour before noon or after it is at most 12")
    return hour % 12 + 12 if half in {"下午", "午後", "오후", "p"} else hour % 12


def _zone(text: str | None) -> tzinfo | None:
    if not text:
        return None
    digits = re.sub(r"[^0-9]", "", text)
    if not digits:
        return UTC
    digits = digits.zfill(2) if len(digits) <= 2 else digits.zfill(4)
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
    return timezone(-offset if "-" in text else offset)
