"""Rows out of JSON lines, CSV, Parquet, standard input or a database, one at a time, with their numbers.

Nothing is read whole into memory. A row that cannot be read comes out as a row with an error.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from llmrec_qdrant.errors import InvalidInput, MissingDependency
from llmrec_qdrant.jobs import mask_url

__all__ = ["FORMATS", "Cell", "Row", "Source"]

FORMATS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet",
}  # fmt: skip
SHOWN = 500
"""Characters of a bad row that are reported."""
BIGGEST_CELL = 50_000_000
"""Characters of one CSV cell."""


class Cell(str):
    """A text out of a table without types: it may spell a number."""

    __slots__ = ()


@dataclass(frozen=True)
class Row:
    """One row: its number (lines of a file from 1), its fields, or why it cannot be read."""

    number: int
    data: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    raw: str = ""
    at: int = 0
    """Bytes of the file read so far; 0 where that is unknown."""


@dataclass(frozen=True)
class Source:
    """Where rows come from: a file, ``-`` for standard input, or a database URL with a query."""

    address: str
    format: str | None = None
    query: str | None = None

    @property
    def path(self) -> Path | None:
        """The file, if it is one."""
        return None if self.address == "-" or "://" in self.address else Path(self.address)

    @property
    def size(self) -> int:
        """Bytes of the file; 0 where that is unknown."""
        return self.path.stat().st_size if self.path and self.path.is_file() else 0

    @property
    def name(self) -> str:
        """How to speak of it; without passwords."""
        return "standard input" if self.address == "-" else mask_url(self.address)

    def kind(self) -> str:
        """One of jsonl, csv, tsv, parquet, sql.

        Raises :class:`InvalidInput` for a file that is not there or whose format is unknown.
        """
        if "://" in self.address:
            if not self.query or not re.match(r"\s*(select|with)\b", self.query, re.IGNORECASE):
                raise InvalidInput("a database needs a query that reads: --query 'SELECT id, title, text FROM films'")
            return "sql"
        if self.path is not None and not self.path.is_file():
            raise InvalidInput(f"there is no file {self.address!r}: check the path")
        found = self.format or (FORMATS.get(self.path.suffix.lower()) if self.path else "jsonl")
        if found not in {"jsonl", "csv", "tsv", "parquet"}:
            raise InvalidInput(
                f"the format of {self.name!r} is not known from its name: pass --format jsonl, csv, tsv or parquet"
            )
        return found

    def rows(self) -> Iterator[Row]:
        """All rows, in order."""
        match self.kind():
            case "sql":
                yield from _sql(self)
            case "parquet":
                yield from _parquet(self)
            case "jsonl":
                with _opened(self) as handle:
                    yield from _jsonl(handle)
            case kind:
                with _opened(self) as handle:
                    yield from _csv(handle, "\t" if kind == "tsv" else ",")


@contextmanager
def _opened(source: Source) -> Iterator[IO[bytes]]:
    if source.path is None:
        yield sys.stdin.buffer
        return
    try:
        with source.path.open("rb") as handle:
            yield handle
    except OSError as error:
        raise InvalidInput(f"{source.name!r} cannot be read ({error.strerror}): check its permissions") from error


def _jsonl(handle: IO[bytes]) -> Iterator[Row]:
    at = 0
    for number, line in enumerate(handle, start=1):
        at += len(line)
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        raw = line[:SHOWN].decode("utf-8", "replace").strip()
        try:
            data = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            yield Row(number, error=f"not UTF-8 at byte {error.start} of the line", raw=raw, at=at)
        except (ValueError, RecursionError) as error:
            yield Row(number, error=f"not JSON: {str(error)[:200]}", raw=raw, at=at)
        else:
            if isinstance(data, dict):
                yield Row(number, data, raw=raw, at=at)
            else:
                yield Row(number, error=f"expected an object with named fields, not {raw[:60]!r}", raw=raw, at=at)


def _csv(handle: IO[bytes], delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(BIGGEST_CELL)
    text = io.TextIOWrapper(handle, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(text, delimiter=delimiter)
    try:
        header = next(reader, [])
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(reader.line_num, error=f"not {'TSV' if delimiter != ',' else 'CSV'}: {error}")
                continue
            if cells:
                yield _csv_row(reader.line_num, header, cells, delimiter)
    finally:
        text.detach()


def _csv_row(number: int, header: list[str], cells: list[str], delimiter: str) -> Row:
    raw = delimiter.join(cells)[:SHOWN].encode("utf-8", "replace").decode()
    if len(cells) != len(header):
        return Row(number, error=f"{len(cells)} cells where the header has {len(header)}", raw=raw)
    if any("\udc80" <= c <= "\udcff" for cell in cells for c in cell):
        return Row(number, error="not UTF-8: save the file as UTF-8", raw=raw)
    return Row(
        number, {name.strip(): Cell(cell) for name, cell in zip(header, cells, strict=True) if cell != ""}, raw=raw
    )


def _parquet(source: Source) -> Iterator[Row]:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise MissingDependency("Parquet needs pyarrow: pip install 'llmrec-qdrant[load]'") from None
    number = 0
    try:
        with parquet.ParquetFile(io.BytesIO(sys.stdin.buffer.read()) if source.path is None else source.path) as file:
            for batch in file.iter_batches(batch_size=1_000):
                for data in batch.to_pylist():
                    number += 1
                    yield Row(number, _plain(data), raw=str(data)[:SHOWN])
    except (arrow.ArrowException, OSError) as error:
        raise InvalidInput(f"{source.name!r} is not a readable Parquet file: {str(error)[:200]}") from error


def _sql(source: Source) -> Iterator[Row]:
    try:
        import sqlalchemy
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        raise MissingDependency("a database needs SQLAlchemy: pip install 'llmrec-qdrant[load]'") from None
    try:
        engine = sqlalchemy.create_engine(source.address)
        try:
            with engine.connect().execution_options(stream_results=True, yield_per=1_000) as connection:
                result = connection.execute(sqlalchemy.text(source.query or ""))
                for number, mapping in enumerate(result.mappings(), start=1):
                    yield Row(number, _plain(dict(mapping)), raw=str(dict(mapping))[:SHOWN])
        finally:
            engine.dispose()
    except ImportError as error:
        raise MissingDependency(f"the database driver is not installed ({error}): install it with pip") from None
    except SQLAlchemyError as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())[:300]
        raise InvalidInput(f"the query on {source.name} failed: {reason}") from error


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """Values as JSON knows them; nulls are absent."""
    return {name: _plain_value(value) for name, value in data.items() if value is not None}


def _plain_value(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value
