"""Reads the rows of CSV and its kin one at a time, so a file may be larger than memory."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.rows import Cell, Row

__all__ = ["NULLS", "Table", "delimiter_of"]

MAX_CELL_CHARACTERS = 4_000_000
"""Characters of one cell: limits what a quote that is never closed swallows."""

DELIMITERS = (",", ";", "\t", "|", "::")
"""What may separate cells; of equally good ones, the first."""

SAMPLE_LINES = 50
"""Lines that are looked at to recognise the delimiter."""

SEPARATOR = "\x1f"
"""Stands for a delimiter of several characters, which the parser cannot take."""

NULLS = frozenset({"", "\\N"})
"""Cells that stand for nothing, in any column; ``\\N`` is how MySQL and Hive write it."""


class _Lines:
    """The lines of a table, some of which can be read again after a quote has swallowed them."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines, self._again = iter(lines), deque[str]()
        self._taken: list[str] = []
        self.number = 0
        """Lines that have been read."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        self.number += 1
        return line

    def begin(self) -> None:
        """Begin a row."""
        self._taken = []

    def give_back(self) -> str:
        """Return the first line of the row; the others are read again."""
        first, *others = self._taken or [""]
        self._again.extendleft(reversed(others))
        self.number -= len(others)
        return first.rstrip("\r\n")


@dataclass(frozen=True)
class Table:
    """How a table is written."""

    delimiter: str = ","
    quoted: bool = True
    """Whether quotation marks enclose cells; otherwise they are text."""
    names: tuple[str, ...] = ()
    """Names of the columns of a table without a header line."""

    def rows(self, handle: IO[bytes]) -> Iterator[Row]:
        """Yield the rows.

        Raises :class:`InvalidInput` for a header that cannot be read or names a column twice.
        """
        csv.field_size_limit(MAX_CELL_CHARACTERS)
        text = io.TextIOWrapper(handle, encoding="utf-8-sig", errors="surrogateescape", newline="")
        lines = _Lines(text)
        reader = self._reader(lines)
        try:
            header = self.names or _header(reader)
            while True:
                lines.begin()
                number = lines.number + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    reason = f"a cell cannot be read: {error}; is a quote never closed, or not doubled?"
                    raw = lines.give_back().encode("utf-8", "replace").decode()
                    yield Row(number, error=reason, raw=raw, at=_position(handle), columns=header)
                    continue
                if cells:
                    yield _row(number, header, cells, _position(handle))
        finally:
            text.detach()

    def _reader(self, lines: Iterable[str]) -> Any:
        if len(self.delimiter) > 1:
            lines = (line.replace(self.delimiter, SEPARATOR) for line in lines)
        delimiter = SEPARATOR if len(self.delimiter) > 1 else self.delimiter
        if self.quoted and len(self.delimiter) == 1:
            return csv.reader(lines, delimiter=delimiter, strict=True)
        return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)

    def split(self, lines: Sequence[str]) -> list[list[str]]:
        """Return the cells of some lines, up to the first that cannot be read."""
        rows: list[list[str]] = []
        with suppress(csv.Error):
            rows.extend(cells for cells in self._reader(lines) if cells)
        return rows


def delimiter_of(head: str, expected: str = ",") -> str:
    """Recognise the delimiter of a table from its first lines: it splits them all into as many cells as the header.

    >>> delimiter_of("id;title" + chr(10) + "1;one, two" + chr(10))
    ';'
    """
    lines = head.splitlines(keepends=True)
    if lines and lines[0].strip().lower().startswith("sep=") and len(lines[0].strip()) == 5:  # as Excel writes it
        return lines[0].strip()[-1]
    lines = lines[:SAMPLE_LINES] if len(lines) <= SAMPLE_LINES else lines[: SAMPLE_LINES - 1]
    best, delimiter = (0.0, 0), expected
    for candidate in sorted(DELIMITERS, key=lambda candidate: candidate != expected):
        rows = Table(candidate).split(lines)
        if not rows or len(rows[0]) < 2:
            continue
        even = sum(len(cells) == len(rows[0]) for cells in rows) / len(rows)
        rank = (round(even, 1), len(rows[0]))
        if rank > best:
            best, delimiter = rank, candidate
    return delimiter


def _header(reader: Iterator[list[str]]) -> tuple[str, ...]:
    try:
        header = tuple(name.strip() for name in next(filter(None, reader), []))
        if header[:1] and header[0].lower().startswith("sep=") and len("".join(header)) <= 5:  # as Excel writes it
            header = tuple(name.strip() for name in next(reader, []))
    except csv.Error as error:
        raise InvalidInput(f"the first line of the table cannot be read: {error}") from None
    if repeated := [name for name in dict.fromkeys(header) if name and header.count(name) > 1]:
        raise InvalidInput(
            f"the table has the column {repeated[0]!r} twice: rename one of them in its first line, "
            "or, if that is a row, name the columns with --columns"
        )
    return header


def _position(handle: IO[bytes]) -> int:
    try:
        return handle.tell()
    except OSError:  # a pipe
        return 0


def _row(number: int, header: tuple[str, ...], cells: list[str], at: int) -> Row:
    columns = tuple(name for name in header if name)
    while len(cells) > len(header) and not cells[-1].strip():  # Excel ends lines with empty cells
        cells.pop()
    if any("\udc80" <= c <= "\udcff" for cell in cells if not cell.isascii() for c in cell):
        shown = [cell.encode("utf-8", "replace").decode() for cell in cells]
        reason = "not UTF-8: save the file as UTF-8, or name its encoding with --encoding"
        return Row(number, error=reason, raw=shown, at=at, columns=columns)
    if len(cells) != len(header):
        reason = f"{len(cells)} cells, but the header has {len(header)}"
        return Row(number, error=reason, raw=cells, at=at, columns=columns)
    data = {name: Cell(cell) for name, cell in zip(header, cells, strict=True) if name and cell not in NULLS}
    return Row(number, data, at=at, columns=columns)
