"""Rows of any source, with plain values: texts, numbers, truth values, lists and objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

__all__ = ["MAX_RAW_LENGTH", "Cell", "Row", "table_row"]


MAX_RAW_LENGTH = 500
"""Characters of a refused row that the list of refused rows shows."""


class Cell(str):
    """A cell of an untyped table: text that may spell a number."""

    __slots__ = ()


@dataclass(frozen=True)
class Row:
    """One row: its number (in a file, the line where it begins, from 1), and its fields or the reason it cannot be read."""

    number: int
    data: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    raw: str = ""
    """The beginning of the input, for the list of refused rows."""
    at: int = 0
    """Bytes of the file read so far; 0 if unknown."""
    columns: tuple[str, ...] = ()
    """All columns, if the source is a table; ``data`` leaves out empty cells."""


def table_row(number: int, data: Mapping[str, Any]) -> Row:
    """Build a row of a typed table; nulls are left out."""
    plain = {name: _plain(value) for name, value in data.items() if value is not None}
    return Row(number, plain, raw=str(data)[:MAX_RAW_LENGTH], columns=tuple(data))


def _plain(value: Any) -> Any:
    """Convert a value to one that JSON can express."""
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
        case bytes():
            return value.decode("utf-8", "replace")
        case UUID():
            return str(value)
        case dict():
            return {str(name): _plain(part) for name, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
    return value
