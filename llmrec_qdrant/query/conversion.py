"""Converts values of files and of the command line to the kinds of a space's fields, as filters read them.

`upsert_items` refuses what does not fit its field. A file does not know kinds, so what it holds is read first.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from llmrec_qdrant.contracts.config import FieldKind
from llmrec_qdrant.contracts.paths import Step, steps
from llmrec_qdrant.contracts.plain import is_missing, plain
from llmrec_qdrant.contracts.times import DEFAULT, Ways, read_time
from llmrec_qdrant.query.fields import MOMENT, fits
from llmrec_qdrant.query.values import READERS, period

__all__ = ["GROUPED", "as_kind", "as_kinds", "is_missing_word", "iso", "without_currency"]

MISSING_WORDS = frozenset(
    {"", "nan", "NaN", "NAN", "null", "NULL", "None", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaT", "\\N"}
)
"""Texts that stand for a missing id, number or time."""

GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:([,' ’])[0-9]{3})(?:\1[0-9]{3})*(?:\.[0-9]+)?")
"""A number whose thousands are in groups, such as 1,234.50."""

_LATITUDES, _LONGITUDES = ("lat", "latitude"), ("lon", "lng", "long", "longitude")


def is_missing_word(value: object) -> bool:
    """Whether a value is a text that stands for a missing value.

    >>> is_missing_word(" N/A "), is_missing_word(""), is_missing_word("none of them"), is_missing_word(None)
    (True, True, False, False)
    """
    return isinstance(value, str) and value.strip() in MISSING_WORDS


def iso(at: datetime) -> str:
    """Return a time in UTC as a payload holds it.

    >>> iso(datetime.fromisoformat("2024-05-01T10:30+00:00"))
    '2024-05-01T10:30:00Z'
    """
    return at.isoformat().replace("+00:00", "Z")


def as_kinds(payload: Mapping[str, Any], kinds: Mapping[str, FieldKind], ways: Mapping[str, Ways]) -> dict[str, Any]:
    """Return a payload whose values at the paths of ``kinds`` are converted; ``ways`` tells how to read times by path.

    >>> as_kinds({"price": "1,299.00", "film": {"seen": "yes"}}, {"price": "float", "film.seen": "bool"}, {})
    {'price': 1299.0, 'film': {'seen': True}}
    """
    converted: Any = dict(payload)
    for path, kind in kinds.items():
        converted = _replaced(converted, steps(path), partial(as_kind, kind=kind, ways=ways.get(path, DEFAULT)))
    return dict(converted)


def _replaced(node: Any, path: Sequence[Step], convert: Callable[[Any], Any]) -> Any:
    """Return ``node`` with what lies at a path converted; ``[]`` enters each element of a list."""
    if not path:
        return convert(node)
    step, rest = path[0], path[1:]
    if isinstance(node, Mapping) and isinstance(step, str) and step in node:
        return {**node, step: _replaced(node[step], rest, convert)}
    if isinstance(node, list) and not isinstance(step, str):
        return [_replaced(part, rest, convert) if step in {None, at} else part for at, part in enumerate(node)]
    return node


def as_kind(value: Any, kind: FieldKind, ways: Ways = DEFAULT) -> Any:
    """Convert a value of an untyped source, such as CSV, to this kind; a value that does not fit is returned unchanged.

    What stands for a missing value becomes None, except in a field of texts. Of a date without a time of day, or a year, the
    first moment is stored.

    >>> as_kind("1995.0", "integer"), as_kind("yes", "bool"), as_kind(7, "keyword"), as_kind("$1,234.50", "float")
    (1995, True, '7', 1234.5)
    >>> as_kind("2024-05", "datetime"), as_kind("17.05.2024 18:30", "datetime"), as_kind("N/A", "float"), as_kind("soon", "bool")
    ('2024-05-01T00:00:00Z', '2024-05-17T18:30:00Z', None, 'soon')
    """
    if isinstance(value, list):
        return [as_kind(part, kind, ways) for part in value]
    value = plain(value)
    if kind in {"keyword", "text"}:
        return str(value) if type(value) in {int, float} and not is_missing(value) else value
    if is_missing(value) or is_missing_word(value):
        return None
    if fits(value, kind) and not (kind == "datetime" and _needs_zone(value, ways)):
        return value
    with suppress(ValueError, OverflowError, RecursionError):
        converted = _moment(value, ways) if kind == "datetime" else _read(value, kind)
        return converted if fits(converted, kind) else value
    return value


def _read(value: Any, kind: FieldKind) -> Any:
    if kind == "geo":
        return _place(json.loads(value) if isinstance(value, str) else value)
    if kind in {"integer", "float"} and isinstance(value, str):
        value = _ungrouped(value)
    return READERS[kind](value)


def _ungrouped(text: str) -> str:
    text = without_currency(text)
    return re.sub("[,' ’]", "", text) if GROUPED.fullmatch(text) else text


def without_currency(text: str) -> str:
    """Return the text of a number in normal width, without signs of currencies.

    >>> without_currency("￥ １,299"), without_currency("3,50 €")
    ('1,299', '3,50')
    """
    return "".join(sign for sign in unicodedata.normalize("NFKC", text) if unicodedata.category(sign) != "Sc").strip()


def _needs_zone(value: str, ways: Ways) -> bool:
    """Whether a time of day is given in a zone other than UTC, which only ``ways`` names."""
    match = MOMENT.fullmatch(value)
    return ways.zone is not UTC and bool(match and match[5] and not match[9])


def _moment(value: Any, ways: Ways) -> str:
    """Return the moment that a value names, or the first moment of a year, month or day.

    Raises :class:`ValueError` for what is no time, or may be two.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and value == int(value) and 1000 <= value <= 2100:
        value = str(int(value))
    try:
        at = period(value)[0] if not isinstance(value, datetime) and ways.zone is UTC else read_time(value, ways).at
    except ValueError:
        at = read_time(value, ways).at if ways.zone is UTC else period(value)[0]
    return iso(at)


def _place(value: Any) -> Any:
    """Return a place with the names and numbers that Qdrant wants; anything else unchanged.

    >>> _place({"latitude": "48.85", "longitude": "2.35"})
    {'lon': 2.35, 'lat': 48.85}
    """
    if not isinstance(value, Mapping):
        return value
    pairs = [(lon, lat) for lon in _LONGITUDES for lat in _LATITUDES if lon in value and lat in value]
    if len(pairs) != 1:
        return value
    lon, lat = pairs[0]
    return {"lon": READERS["float"](value[lon]), "lat": READERS["float"](value[lat])}
