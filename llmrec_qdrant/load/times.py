"""Times in the columns of a table: one format for a whole column, named or recognised from its rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from llmrec_qdrant.contracts.times import NUMBER, UNITS, Moment, Ways, read_time
from llmrec_qdrant.errors import InvalidInput, MissingDependency, show

__all__ = ["Clock", "derived_time", "is_day_or_month", "order_of", "zone_named"]

UNDATED = datetime(2000, 1, 1, tzinfo=UTC)
"""Events without a time are dated from here, a second per line: old, in the order of the file."""

UNIT_NAMES = dict(zip(("s", "ms", "us", "ns"), UNITS, strict=True))

FORMATS = {"dmy": "day first", "mdy": "month first", "excel": "serial days of a spreadsheet", **UNIT_NAMES}
"""Values of --time-format besides the patterns of strptime."""

SERIAL_DAYS = (32874, 73051)
"""Serial numbers of the days from 1990 to 2100."""

_ENDS_WITH_YEAR = re.compile(r"(\d{1,2})([-/])(\d{1,2})\2\d{4}(?!\d)", re.ASCII)

_MONTH_NAME = re.compile(r"(?i)(?<![a-z])(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*")


def zone_named(name: str) -> tzinfo:
    """Return a time zone.

    Raises :class:`InvalidInput` for a name that the time zone database does not have.
    """
    if name.upper() in {"UTC", "Z", "GMT"}:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidInput(
            f"--time-zone {name!r} is not known: name one such as Europe/Berlin or Asia/Shanghai "
            "(if all are unknown: pip install tzdata)"
        ) from None


@dataclass(frozen=True)
class Clock:
    """Reads the times of a column."""

    format: str = ""
    """A pattern of strptime, or a key of :data:`FORMATS`; empty recognises the time."""
    ways: Ways = field(default_factory=Ways)

    def __post_init__(self) -> None:
        if self.format and self.format not in FORMATS and "%" not in self.format:
            raise InvalidInput(
                f"--time-format {self.format!r} is neither a pattern such as '%d.%m.%Y %H:%M' nor one of {', '.join(FORMATS)}"
            )
        try:
            datetime.strptime("", self.format if "%" in self.format else "")
        except ValueError as error:
            if "directive" in str(error) or "stray" in str(error):
                raise InvalidInput(f"--time-format {self.format!r} cannot be used: {error}") from None

    @property
    def fixed(self) -> bool:
        """Whether the format leaves nothing to recognise."""
        return "%" in self.format or self.format in UNIT_NAMES

    def read(self, value: Any, of: str = "Event: 'ts'") -> Moment:
        """Read a time, the field ``of`` an entity.

        Raises :class:`InvalidInput` naming the value, and how to tell what it means.
        """
        try:
            return self._read(value)
        except (ValueError, OverflowError) as error:
            raise InvalidInput(f"{of}: {error}{self._advice(value)}") from None

    def _read(self, value: Any) -> Moment:
        if self.format in UNIT_NAMES:
            text = str(value).strip()
            if not NUMBER.fullmatch(text):
                raise ValueError(f"{show(value)} is no number of {UNIT_NAMES[self.format]}")
            since = Decimal(text) / UNITS[UNIT_NAMES[self.format]]
            return Moment(datetime.fromtimestamp(float(since), UTC), UNIT_NAMES[self.format])
        if "%" in self.format:
            return read_time(datetime.strptime(str(value).strip(), self.format), self.ways)._replace(style=self.format)
        if isinstance(value, str) and _MONTH_NAME.search(value):
            return _with_month_name(value, self.ways)
        return read_time(value, self.ways)

    def _advice(self, value: Any) -> str:
        if self.format or not isinstance(value, str) or NUMBER.fullmatch(value.strip()):
            return ""
        return "; or name the format of the column with --time-format, such as '%d.%m.%Y %H:%M'"

    def for_column(self, values: Iterable[Any], day_first: bool | None) -> Clock:
        """Return the clock of a column with these values."""
        named = {"dmy": True, "mdy": False}.get(self.format, day_first)
        serials = self.format == "excel" or (not self.format and _are_serials(values))
        return replace(self, ways=replace(self.ways, day_first=named, serials=serials))


def _are_serials(values: Iterable[Any]) -> bool:
    """Whether all values are numbers of days between 1990 and 2100 in the count of a spreadsheet."""
    texts = [str(value).strip() for value in values]
    first, last = SERIAL_DAYS
    return bool(texts) and all(NUMBER.fullmatch(text) and first <= Decimal(text) < last for text in texts)


def _with_month_name(text: str, ways: Ways) -> Moment:
    """Read a date with the English name of a month, such as ``1 May 2024 10:30``."""
    if not re.search(r"(?<!\d)\d{4}(?!\d)", text):
        raise ValueError(f"{show(text)} is no time: its year needs four digits")
    try:
        from dateutil import parser
    except ImportError:
        raise MissingDependency("dates with names of months need dateutil: pip install 'llmrec-qdrant[load]'") from None
    defaults = datetime(2001, 1, 1), datetime(2002, 2, 2)  # what is missing in the text would differ
    try:
        first, second = (parser.parse(text, default=default, tzinfos=_known_offset) for default in defaults)
    except (parser.ParserError, OverflowError, TypeError) as error:
        raise ValueError(f"{show(text)} is no time: {error}") from None
    if first != second:
        raise ValueError(f"{show(text)} is no time: it lacks a day, a month or a year")
    return read_time(first, ways)._replace(style="dates with the name of a month")


def _known_offset(name: str | None, offset: int | None) -> tzinfo | None:
    """Return the zone of an offset; names other than UTC mean several zones."""
    if offset is not None:
        return timezone(timedelta(seconds=offset))
    if name:
        raise ValueError(f"the time zone {name!r} means several: write an offset such as +08:00")
    return None


def is_day_or_month(value: Any) -> tuple[int, int] | None:
    """Return the two numbers before the year of a date such as 05/01/2024; None for other values."""
    match = _ENDS_WITH_YEAR.match(value.strip()) if isinstance(value, str) else None
    pair = (int(match[1]), int(match[3])) if match else (0, 0)
    return pair if 1 <= min(pair) <= 12 and max(pair) <= 31 else None


def order_of(pairs: Iterable[tuple[int, int]]) -> bool | None:
    """Decide from a whole column whether its dates begin with the day; None if no date tells.

    Raises :class:`InvalidInput` if some can only begin with the day, others only with the month.
    """
    day_first = month_first = False
    for first, second in pairs:
        day_first |= first > 12
        month_first |= second > 12
    if day_first and month_first:
        raise InvalidInput(
            "some times begin with the day and others with the month: write them in one order, "
            "or refuse the fewer with --time-format dmy or mdy"
        )
    return day_first if day_first or month_first else None


def derived_time(line: int, mark: int) -> datetime:
    """Return the time of an event without one: the same whenever the same file is loaded."""
    return UNDATED + timedelta(seconds=line, microseconds=mark)
