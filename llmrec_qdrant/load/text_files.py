"""Reads the rows of JSON lines and CSV one at a time, so a file may be larger than memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import IO, Any

from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.rows import MAX_RAW_LENGTH, Cell, Row

__all__ = ["csv_rows", "jsonl_rows"]


MAX_CELL_CHARACTERS = 4_000_000
"""Characters of one CSV cell: limits what a quote that is never closed swallows."""

MAX_LINE_BYTES = 64_000_000
"""Bytes of one JSON line; a longer one is skipped without being held in memory."""


def jsonl_rows(handle: IO[bytes], after: int, at: int) -> Iterator[Row]:
    """Yield the rows of JSON lines; ``handle`` is at byte ``at``, after line number ``after``. Empty lines are skipped."""
    for number, (line, length) in enumerate(_lines(handle), start=after + 1):
        at += length
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        raw = line[:MAX_RAW_LENGTH].decode("utf-8", "replace").strip()
        try:
            data = _json_object(line, length, raw)
        except UnicodeDecodeError as error:
            yield Row(number, error=f"not UTF-8 at byte {error.start} of the line", raw=raw, at=at)
        except json.JSONDecodeError as error:
            yield Row(number, error=f"not JSON: {error}", raw=raw, at=at)
        except (ValueError, RecursionError) as error:
            yield Row(number, error=str(error)[:200], raw=raw, at=at)
        else:
            yield Row(number, data, raw=raw, at=at)


def _json_object(line: bytes, length: int, raw: str) -> dict[str, Any]:
    if length > MAX_LINE_BYTES:
        raise ValueError(f"a line may have at most {MAX_LINE_BYTES:,} bytes, and this one has {length:,}")
    data = json.loads(line.decode("utf-8"))
    if not isinstance(data, dict):
        raise ValueError(f"expected an object with named fields, not {raw[:60]!r}")
    return data


def _lines(handle: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield lines and their lengths in bytes; of a line that is too long, only the beginning."""
    while line := handle.readline(MAX_LINE_BYTES + 1):
        length, piece = len(line), line
        while len(piece) > MAX_LINE_BYTES and not piece.endswith(b"\n"):
            line = line[:MAX_RAW_LENGTH]
            piece = handle.readline(MAX_LINE_BYTES + 1)
            length += len(piece)
        yield line, length


def csv_rows(handle: IO[bytes], delimiter: str) -> Iterator[Row]:
    """Yield the rows of a table with a header line.

    Raises :class:`InvalidInput` for a header that cannot be read or names a column twice.
    """
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    text = io.TextIOWrapper(handle, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(text, delimiter=delimiter)
    try:
        header = _header(reader)
        while True:
            number = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                reason = f"a cell cannot be read: {error}; is a quote never closed?"
                yield Row(number, error=reason, at=_position(handle), columns=header)
                continue
            if cells:
                yield _csv_row(number, header, cells, delimiter, _position(handle))
    finally:
        text.detach()


def _header(reader: Iterator[list[str]]) -> tuple[str, ...]:
    try:
        header = tuple(name.strip() for name in next(reader, []))
    except csv.Error as error:
        raise InvalidInput(f"the first line of the table cannot be read: {error}") from None
    if repeated := [name for name in dict.fromkeys(header) if header.count(name) > 1]:
        raise InvalidInput(f"the table has the column {repeated[0]!r} twice: rename one of them in its first line")
    return header


def _position(handle: IO[bytes]) -> int:
    try:
        return handle.tell()
    except OSError:  # a pipe
        return 0


def _csv_row(number: int, header: tuple[str, ...], cells: list[str], delimiter: str, at: int) -> Row:
    raw = delimiter.join(cell[:MAX_RAW_LENGTH] for cell in cells)[:MAX_RAW_LENGTH].encode("utf-8", "replace").decode()
    if len(cells) != len(header):
        reason = f"{len(cells)} cells, but the header has {len(header)}"
        return Row(number, error=reason, raw=raw, at=at, columns=header)
    if any("\udc80" <= c <= "\udcff" for cell in cells if not cell.isascii() for c in cell):
        return Row(number, error="not UTF-8: save the file as UTF-8", raw=raw, at=at, columns=header)
    data = {name: Cell(cell) for name, cell in zip(header, cells, strict=True) if cell != ""}
    return Row(number, data, raw=raw, at=at, columns=header)
