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
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from llmrec_qdrant.errors import InvalidInput, MissingDependency
from llmrec_qdrant.queues.base import mask_url

__all__ = ["FORMATS", "Cell", "Row", "Source"]


FORMATS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet",
}  # fmt: skip


SHOWN = 500
"""Characters of a bad row that are reported."""


BIGGEST_CELL = 4_000_000
"""Characters of one CSV cell: what a quote that never ends swallows at most."""


LONGEST_LINE = 64_000_000
"""Bytes of one JSON line; more is passed over without being held in memory."""


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
    columns: tuple[str, ...] = ()
    """All columns, where the source is a table; ``data`` leaves out empty cells."""


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
    def tells_bytes(self) -> bool:
        """Whether rows know how many bytes of the file were read."""
        return self.path is not None and self.kind() in {"jsonl", "csv", "tsv"}

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
        if found == "parquet" and self.path is None:
            raise InvalidInput("Parquet cannot be read from standard input: save it to a file first")
        return found

    def rows(self, after: int = 0, at: int = 0) -> Iterator[Row]:
        """All rows in order, or those after row ``after``, which ended at byte ``at``."""
        match self.kind():
            case "sql":
                yield from _sql(self)
            case "parquet":
                yield from _parquet(self, after)
            case "jsonl":
                with _opened(self) as handle:
                    if at:
                        handle.seek(at)
                    yield from (row for row in _jsonl(handle, after if at else 0, at) if row.number > after)
            case kind:
                with _opened(self) as handle:
                    yield from (row for row in _csv(handle, "\t" if kind == "tsv" else ",") if row.number > after)


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


def _jsonl(handle: IO[bytes], after: int, at: int) -> Iterator[Row]:
    for number, (line, length) in enumerate(_lines(handle), start=after + 1):
        at += length
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        raw = line[:SHOWN].decode("utf-8", "replace").strip()
        try:
            if length > LONGEST_LINE:
                raise ValueError(f"a line may have {LONGEST_LINE:,} bytes, this one has {length:,}")
            data = json.loads(line.decode("utf-8"))
            if not isinstance(data, dict):
                raise ValueError(f"expected an object with named fields, not {raw[:60]!r}")
        except UnicodeDecodeError as error:
            yield Row(number, error=f"not UTF-8 at byte {error.start} of the line", raw=raw, at=at)
        except json.JSONDecodeError as error:
            yield Row(number, error=f"not JSON: {error}", raw=raw, at=at)
        except (ValueError, RecursionError) as error:
            yield Row(number, error=str(error)[:200], raw=raw, at=at)
        else:
            yield Row(number, data, raw=raw, at=at)


def _lines(handle: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Lines with their lengths; of one that is too long, only its beginning."""
    while line := handle.readline(LONGEST_LINE + 1):
        length, piece = len(line), line
        while len(piece) > LONGEST_LINE and not piece.endswith(b"\n"):
            line = line[:SHOWN]
            piece = handle.readline(LONGEST_LINE + 1)
            length += len(piece)
        yield line, length


def _csv(handle: IO[bytes], delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(BIGGEST_CELL)
    text = io.TextIOWrapper(handle, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(text, delimiter=delimiter)
    try:
        header = tuple(name.strip() for name in next(reader, []))
        if twice := [name for name in dict.fromkeys(header) if header.count(name) > 1]:
            raise InvalidInput(f"the table has the column {twice[0]!r} twice: rename one of them in its first line")
        while True:
            number = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                reason = f"not a table cell: {error}; is there a quote that never ends?"
                yield Row(number, error=reason, at=_position(handle), columns=header)
                continue
            if cells:
                yield _csv_row(number, header, cells, delimiter, _position(handle))
    except csv.Error as error:
        raise InvalidInput(f"the first line of the table cannot be read: {error}") from None
    finally:
        text.detach()


def _position(handle: IO[bytes]) -> int:
    try:
        return handle.tell()
    except OSError:  # a pipe
        return 0


def _csv_row(number: int, header: tuple[str, ...], cells: list[str], delimiter: str, at: int) -> Row:
    raw = delimiter.join(cell[:SHOWN] for cell in cells)[:SHOWN].encode("utf-8", "replace").decode()
    if len(cells) != len(header):
        reason = f"{len(cells)} cells where the header has {len(header)}"
        return Row(number, error=reason, raw=raw, at=at, columns=header)
    if any("\udc80" <= c <= "\udcff" for cell in cells if not cell.isascii() for c in cell):
        return Row(number, error="not UTF-8: save the file as UTF-8", raw=raw, at=at, columns=header)
    data = {name: Cell(cell) for name, cell in zip(header, cells, strict=True) if cell != ""}
    return Row(number, data, raw=raw, at=at, columns=header)


def _table_row(number: int, data: Mapping[str, Any]) -> Row:
    return Row(number, _plain(data), raw=str(data)[:SHOWN], columns=tuple(data))


def _parquet(source: Source, after: int) -> Iterator[Row]:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise MissingDependency("Parquet needs pyarrow: pip install 'llmrec-qdrant[load]'") from None
    number = 0
    try:
        with parquet.ParquetFile(source.address) as file:
            coarse = arrow.schema([_microseconds(arrow, field) for field in file.schema_arrow])
            for batch in file.iter_batches(batch_size=1_000):
                known = min(max(after - number, 0), len(batch))
                number += known
                for data in batch.slice(known).cast(coarse, safe=False).to_pylist():
                    number += 1
                    # NaN is how pandas writes that there is no number
                    yield _table_row(number, {name: None if value != value else value for name, value in data.items()})
    except (arrow.ArrowException, OSError) as error:
        raise InvalidInput(f"{source.name!r} is not a readable Parquet file: {str(error)[:200]}") from error


def _microseconds(arrow: Any, field: Any) -> Any:
    """A column of times in nanoseconds, as pandas writes them, in what Python's times can hold."""
    fine = arrow.types.is_timestamp(field.type) and field.type.unit == "ns"
    return field.with_type(arrow.timestamp("us", field.type.tz)) if fine else field


def _sql(source: Source) -> Iterator[Row]:
    try:
        import sqlalchemy
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        raise MissingDependency("a database needs SQLAlchemy: pip install 'llmrec-qdrant[load]'") from None
    try:
        url = sqlalchemy.make_url(source.address)
        _database_is_there(url.get_backend_name(), url.database)
        engine = sqlalchemy.create_engine(url)
        try:
            with engine.connect() as connection:
                result = _read_only(connection).exec_driver_sql(source.query or "")
                for number, mapping in enumerate(result.mappings(), start=1):
                    yield _table_row(number, dict(mapping))
        finally:
            engine.dispose()
    except ImportError as error:
        raise MissingDependency(f"the database driver is not installed ({error}): install it with pip") from None
    except SQLAlchemyError as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())[:300]
        raise InvalidInput(f"the query on {source.name} failed: {reason}") from error


def _database_is_there(backend: str, database: str | None) -> None:
    """SQLite makes a file for a name that it does not find."""
    if backend == "sqlite" and not Path(database or "").is_file():
        raise InvalidInput(
            f"there is no SQLite file {database!r}: check the path (sqlite:///relative, sqlite:////absolute)"
        )


def _read_only(connection: Any) -> Any:
    """Rows as the server sends them, the query as it was written, and nothing that could write."""
    backend = connection.dialect.name
    if backend == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
    read_only = {"postgresql_readonly": True} if backend == "postgresql" else {}
    return connection.execution_options(stream_results=True, yield_per=1_000, no_parameters=True, **read_only)


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """Values as JSON knows them; nulls are absent."""
    return {name: _plain_value(value) for name, value in data.items() if value is not None}


def _plain_value(value: Any) -> Any:
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
            return {str(name): _plain_value(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain_value(one) for one in value]
    return value
