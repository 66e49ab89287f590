"""Rows of any source, with plain values: texts, numbers, truth values, lists and objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

__all__ = ["Cell", "Row", "mended", "table_row"]


class Cell(str):
    """A cell of an untyped table: text that may spell a number."""

    __slots__ = ()


@dataclass(frozen=True)
class Row:
    """One row: its number (in a file, the line where it begins, from 1), and its fields or the reason it cannot be read."""

    number: int
    data: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    raw: Any = ""
    """The input of a row that cannot be read: its text, or the cells of a table."""
    at: int = 0
    """Bytes of the file read so far; 0 if unknown."""
    columns: tuple[str, ...] = ()
    """All columns, if the source is a table; ``data`` leaves out empty cells."""
    line: int = 0
    """Line of the source in which a mended row was refused; 0 for other rows."""
    mark: int | None = None
    """Mark of that source; None for other rows."""

    @property
    def place(self) -> int:
        """Line of the row in the source that it comes from."""
        return self.line or self.number

    @property
    def input(self) -> Any:
        """What the list of refused rows shows: the fields, or the text that could not be read."""
        return self.raw if self.error else dict(self.data)


def table_row(number: int, data: Mapping[str, Any]) -> Row:
    """Build a row of a typed table; nulls are left out."""
    plain = {name: _plain(value) for name, value in data.items() if value is not None}
    return Row(number, plain, columns=tuple(data))


REJECT_KEYS = {"line", "reason", "input"}
"""What a line in the list of refused rows has at least."""


def mended(row: Row) -> Row:
    """Return the row that a line in the list of refused rows holds; any other row is returned unchanged.

    Cells of an untyped table are cells again, so a mended row is read as in the file that it comes from.
    """
    if not REJECT_KEYS <= row.data.keys() <= REJECT_KEYS | {"cells", "columns", "mark"}:
        return row
    data, line, mark = row.data["input"], row.data["line"], row.data.get("mark")
    columns = row.data.get("columns") or ()
    if isinstance(data, list) and len(data) == len(columns):
        data = dict(zip(columns, data, strict=True))
    if not isinstance(data, dict):
        reason = f"'input' is still what could not be read ({row.data['reason']}): write an object with named fields"
        return replace(row, error=reason, raw=data, data={})
    if row.data.get("cells"):
        data = {name: Cell(value) if isinstance(value, str) else value for name, value in data.items() if value != ""}
    origin = line if isinstance(line, int) else 0
    return replace(row, data=data, columns=tuple(columns), line=origin, mark=mark if isinstance(mark, int) else None)


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
