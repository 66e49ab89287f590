"""Reads the values of filters: many spellings, one value per kind of field.

A filter's value may be a Python or numpy value or a text, since the command line and JSON know little else. Each function
returns the value that Qdrant compares, or raises :class:`ValueError` with the end of a sentence: what the value is not.
"""

from __future__ import annotations

import calendar
import math
import re
import unicodedata
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from llmrec_qdrant.contracts.config import FieldKind

__all__ = ["READERS", "Period", "fitting_kind", "number", "period", "plain"]

Period = tuple[datetime, datetime | None]
"""The first moment of a period and the first moment after it; None: a single moment."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")

_TRUTH = {
    **dict.fromkeys(("true", "yes", "on", "1", "t", "y", "是", "真"), True),
    **dict.fromkeys(("false", "no", "off", "0", "f", "n", "否", "假"), False),
}

_PERIOD = re.compile(
    r"(?P<year>[0-9]{4})(?:[-/](?P<month>[0-9]{1,2})(?:[-/](?P<day>[0-9]{1,2})"
    r"(?:[Tt ](?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?)?"
    r" ?(?P<zone>[Zz]|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)?)?)?)?"
)


def plain(value: Any) -> Any:
    """Return a value without its numpy type; texts in normal width and without surrounding white space.

    >>> plain(np.int64(7)), plain(" ２０１４ "), plain(np.datetime64("2024-05"))
    (7, '2014', '2024-05')
    """
    if isinstance(value, np.datetime64):
        return str(value)
    if isinstance(value, np.generic):
        value = value.item()
    return unicodedata.normalize("NFKC", value).strip() if isinstance(value, str) else value


def text(value: Any) -> str:
    """Return a text unchanged; a whole number or UUID as text."""
    value = value.item() if isinstance(value, np.generic) and not isinstance(value, np.datetime64) else value
    if isinstance(value, uuid.UUID) or type(value) is int:
        return str(value)
    if not isinstance(value, str):
        raise ValueError("not a text")
    if re.search("[\ud800-\udfff]", value):
        raise ValueError("not a text that UTF-8 can encode")
    return str(value)


def number(value: Any) -> int | float | Decimal:
    """Return a finite number, without loss."""
    value = plain(value)
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            raise ValueError("not a number")
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not math.isfinite(_as_float(value)):
        raise ValueError("not a number")
    return value


def _as_float(value: int | float | Decimal) -> float:
    try:
        return float(value)
    except (OverflowError, InvalidOperation, ValueError):
        return math.inf


def whole(value: Any) -> int:
    """Return a whole number of 64 bits; 7.0 is 7."""
    exact = number(value)
    if exact != int(exact) or not -(2**63) <= exact < 2**63:
        raise ValueError("not a whole number of 64 bits")
    return int(exact)


def fractional(value: Any) -> float:
    """Return a number as Qdrant stores it, with 64 bits."""
    return float(number(value))


def truth(value: Any) -> bool:
    """Return true or false; 1 and 0, and ``yes no on off y n t f 是 否 真 假`` as text, too."""
    value = plain(value)
    if isinstance(value, str) and value.lower() in _TRUTH:
        return _TRUTH[value.lower()]
    if isinstance(value, int | float) and value in {0, 1}:
        return bool(value)
    raise ValueError("neither true nor false")


def identifier(value: Any) -> str:
    """Return a UUID with hyphens."""
    try:
        return str(value if isinstance(value, uuid.UUID) else uuid.UUID(value.strip()))
    except (AttributeError, TypeError, ValueError):
        raise ValueError("not a UUID") from None


def period(value: Any) -> Period:
    """Return the period that a date or time names: a year, month, day, hour or minute; with seconds, a single moment.

    A time without a zone is UTC.

    >>> start, end = period("2024-05")
    >>> start.isoformat(), end.isoformat()
    ('2024-05-01T00:00:00+00:00', '2024-06-01T00:00:00+00:00')
    """
    value = plain(value)
    if isinstance(value, int | float | Decimal):
        raise ValueError("a number, not a date: write a text such as '2024', '2024-05' or '2024-05-01T12:00:00Z'")
    if isinstance(value, datetime):
        try:
            if value != value:  # pandas' NaT
                raise ValueError
            return _in_utc(value), None
        except (ValueError, OverflowError):
            raise ValueError("not a time of the years 1 to 9999") from None
    if isinstance(value, date):
        value = value.isoformat()
    written = re.sub(r"[年月]", "-", value).replace("日", " ").strip(" -") if isinstance(value, str) else ""
    match = _PERIOD.fullmatch(written)
    if not match:
        raise ValueError("not a date or time such as 2024, 2024-05, 2024-05-01 or 2024-05-01T12:00:00Z")
    try:
        return _named(match)
    except (ValueError, OverflowError):
        raise ValueError("not a date or time of the calendar") from None


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _named(match: re.Match[str]) -> Period:
    """Return the period that a text names by the parts it has."""
    year, month, day, hour, minute, second = (
        int(part) if (part := match[name]) else None for name in ("year", "month", "day", "hour", "minute", "second")
    )
    micro = int((match["fraction"] or "").ljust(6, "0")[:6])
    start = _in_utc(
        datetime(year or 0, month or 1, day or 1, hour or 0, minute or 0, second or 0, micro, _zone(match["zone"]))
    )
    if second is not None:
        return start, None
    days = calendar.monthrange(year or 1, month)[1] if month else 366 if calendar.isleap(year or 1) else 365
    length = (
        timedelta(minutes=1) if minute is not None else timedelta(hours=1) if hour is not None
        else timedelta(days=1) if day is not None else timedelta(days=days)
    )  # fmt: skip
    return start, start + length


def _zone(text: str | None) -> timezone:
    if not text or text in {"Z", "z", "UTC"}:
        return UTC
    hours, minutes = int(text[1:3]), int(text[3:].lstrip(":") or 0)
    return timezone((1 if text[0] == "+" else -1) * timedelta(hours=hours, minutes=minutes))


READERS: Mapping[FieldKind, Callable[[Any], Any]] = {
    "keyword": text, "integer": whole, "float": fractional, "bool": truth, "uuid": identifier, "datetime": period,
}  # fmt: skip
"""Kind → reader of the values that equality compares; kinds without equality are missing."""


def fitting_kind(wanted: Any) -> FieldKind:
    """Return a kind of field that can answer what a filter asks: a value, a list, or an object of words and bounds.

    >>> fitting_kind({"lt": "9.99"}), fitting_kind(["1990", "1991"]), fitting_kind({"gte": "2024-05"}), fitting_kind(True)
    ('float', 'integer', 'datetime', 'bool')
    >>> fitting_kind({"text": "red shoes"}), fitting_kind({"not": "drama"}), fitting_kind({"exists": True})
    ('text', 'keyword', 'keyword')
    """
    if isinstance(wanted, Mapping):
        if "text" in wanted:
            return "text"
        asked = [value for word, value in wanted.items() if word != "exists"]
        return fitting_kind(asked[0]) if asked else "keyword"
    if isinstance(wanted, list | tuple | set | frozenset | np.ndarray):
        kinds = {fitting_kind(value) for value in wanted}
        return kinds.pop() if len(kinds) == 1 else "float" if kinds == {"integer", "float"} else "keyword"
    if isinstance(wanted, bool | np.bool_):
        return "bool"
    kinds_by_strictness: tuple[FieldKind, ...] = ("integer", "float", "datetime", "uuid")
    for kind in kinds_by_strictness:
        with suppress(ValueError):
            READERS[kind](wanted)
            return kind
    return "keyword"
