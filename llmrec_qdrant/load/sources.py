"""The sources of rows: a file, standard input or a database.

Rows are read one at a time, with their numbers, so a source may be larger than memory. A row that cannot be read is
returned with an error. How a file is compressed, encoded and written is recognised from its content.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.database import database_rows
from llmrec_qdrant.load.encodings import UTF8, checked_encoding, encoding_of
from llmrec_qdrant.load.json_files import has_lines, json_rows, jsonl_rows
from llmrec_qdrant.load.opening import CHUNK, Prefixed, Recoded, compression_of, decompressed, reading
from llmrec_qdrant.load.parquet import parquet_rows
from llmrec_qdrant.load.rows import Cell, Row
from llmrec_qdrant.load.tables import Table, delimiter_of
from llmrec_qdrant.queues.base import mask_url

__all__ = ["FORMATS", "Cell", "Row", "Source"]


FORMATS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".dat": "csv",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
"""Extension of a file → format."""

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
"""Extensions of compressed files; that of their format stands before."""

OBJECTS = re.compile(r"""\s*(\{\s*u?["']|\[\s*[{\[])""")
"""How JSON begins, whatever the file is called."""

NO_DATA = {
    "<!doctype html": "a web page", "<html": "a web page", "version https://git-lfs": "a pointer of Git LFS",
}  # fmt: skip
"""Beginnings of what is downloaded by mistake."""

SAMPLE_ROWS = 100
"""Rows of objects whose names make up the columns."""

NAMES_OF_DELIMITERS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "vertical bar"}


@dataclass(frozen=True)
class Written:
    """How a file is written: recognised from its content, or as told."""

    format: str
    compression: str = ""
    encoding: str = UTF8
    delimiter: str = ","

    @property
    def direct(self) -> bool:
        """Whether the bytes of the file are UTF-8 as they are, so that a load can resume at one of them."""
        return not self.compression and self.encoding == UTF8

    @property
    def noteworthy(self) -> bool:
        """Whether something had to be recognised that the name of a file does not tell."""
        return not self.direct or (self.format == "csv" and self.delimiter not in {",", "\t"}) or self.format == "json"

    def __str__(self) -> str:
        parts = {"jsonl": "JSON lines", "json": "JSON", "parquet": "Parquet"}
        said = [
            parts.get(self.format)
            or f"a table separated by {NAMES_OF_DELIMITERS.get(self.delimiter, repr(self.delimiter))}"
        ]
        said += [f"compressed with {self.compression}"] if self.compression else []
        return ", ".join([*said, *([f"encoded in {self.encoding}"] if self.encoding != UTF8 else [])])


@dataclass(frozen=True)
class Source:
    """A file, ``-`` for standard input, or a database URL with a query.

    What is left None is recognised from the content.
    """

    address: str
    format: str | None = None
    query: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    names: tuple[str, ...] = ()
    """Names of the columns of a table without a header line."""
    quoted: bool = True
    """Whether quotation marks enclose the cells of a table; otherwise they are text."""

    @property
    def path(self) -> Path | None:
        """Path of the file; None for other sources."""
        return None if self.address == "-" or "://" in self.address else Path(self.address)

    @property
    def size(self) -> int:
        """Size of the file in bytes; 0 if unknown."""
        return self.path.stat().st_size if self.path and self.path.is_file() else 0

    @property
    def counts_bytes(self) -> bool:
        """Whether rows say how many bytes of the file have been read."""
        return self.path is not None and self.written.format in {"jsonl", "csv"} and self.written.direct

    @property
    def name(self) -> str:
        """Name of the source in messages; without its password."""
        return "standard input" if self.address == "-" else mask_url(self.address)

    def read_as(self, **changes: Any) -> Source:
        """Return this source, read in another way; what has been taken from standard input is kept."""
        changed = replace(self, **changes)
        if "_head" in self.__dict__:
            changed.__dict__["_head"] = self._head
        return changed

    @property
    def again(self) -> bool:
        """Whether the rows can be read more than once."""
        return self.address != "-"

    def kind(self) -> str:
        """Return the format: jsonl, json, csv, parquet or sql.

        Raises :class:`InvalidInput` for a file that does not exist, is empty or cannot be read.
        """
        return self.written.format

    @cached_property
    def written(self) -> Written:
        """How the source is written.

        Raises :class:`InvalidInput` like :meth:`kind`.
        """
        if "://" in self.address:
            if not self.query or not re.match(r"\s*(select|with)\b", self.query, re.IGNORECASE):
                raise InvalidInput("a database needs a SELECT query: --query 'SELECT id, title, text FROM films'")
            return Written("sql")
        if self.path is not None and not self.path.is_file():
            if self.path.is_dir():
                raise InvalidInput(f"{self.address!r} is a folder: name one of its files")
            raise InvalidInput(f"there is no file {self.address!r}: check the path")
        return self._parquet() if self.format == "parquet" else self._recognised()

    def _recognised(self) -> Written:
        """Recognise compression, encoding, format and delimiter, in this order."""
        with self._beginning() as handle, reading(self.name):
            magic = handle.read(64)
        if not magic:
            raise InvalidInput(f"{self.name!r} is empty: there is nothing to load")
        if magic.startswith(b"PAR1"):
            return self._parquet()
        compression = compression_of(magic)
        with self._beginning() as handle, reading(self.name):
            stream = decompressed(handle, compression, self.name)
            encoding = checked_encoding(self.encoding) if self.encoding else encoding_of(stream, self.name)
        with self._beginning() as handle, reading(self.name):
            head = self._text(handle, compression, encoding).read(CHUNK)
        return self._with_format(head.decode(UTF8, "replace").removeprefix("\ufeff"), compression, encoding)

    @contextmanager
    def _beginning(self) -> Iterator[IO[bytes]]:
        """Open what the format is recognised from: the file, or what standard input holds already."""
        if self.path is None:
            yield io.BytesIO(self._head)
            return
        with self._bytes() as handle:
            yield handle

    def _parquet(self) -> Written:
        if self.path is None:
            raise InvalidInput("Parquet cannot be read from standard input: save it to a file first")
        return Written("parquet")

    def _with_format(self, text: str, compression: str, encoding: str) -> Written:
        named = self.format or self._format_of_name()
        if not text.strip():
            raise InvalidInput(f"{self.name!r} is empty: there is nothing to load")
        for beginning, what in NO_DATA.items():
            if text.lstrip().lower().startswith(beginning):
                raise InvalidInput(f"{self.name!r} is {what}, not data: get the file itself")
        if named in {"jsonl", "json"} or (self.format is None and OBJECTS.match(text)):
            return Written("jsonl" if has_lines(text) else "json", compression, encoding)
        delimiter = self.delimiter or delimiter_of(text, "\t" if named == "tsv" else ",")
        if named is None and len(Table(delimiter).split(text.splitlines(keepends=True)[:1])[0]) < 2:
            raise InvalidInput(f"the format of {self.name!r} is not clear: pass --format jsonl, csv, tsv or parquet")
        return Written("csv", compression, encoding, delimiter)

    def _format_of_name(self) -> str | None:
        if self.path is None:
            return "jsonl" if self._head.lstrip()[:1] in {b"{", b"["} else None
        name = self.path.name.lower()
        for extension in COMPRESSED:
            name = name.removesuffix(extension)
        return FORMATS.get(Path(name).suffix)

    def columns(self) -> tuple[str, ...]:
        """Return the columns of a table, its first line if it has no header, or the names that the first objects use."""
        if self.written.format == "csv":
            return tuple(cell.strip() for cell in self._first_cells)
        names: dict[str, None] = {}
        for row in islice(self.rows() if self.again else self._rows_of_head(), SAMPLE_ROWS):
            names |= dict.fromkeys(row.columns or row.data)
        return tuple(names)

    @cached_property
    def _first_cells(self) -> Sequence[str]:
        with self._beginning() as handle, reading(self.name):
            line = self._text(handle, self.written.compression, self.written.encoding).readline()
        cells = Table(self.written.delimiter, self.quoted).split([line.decode(UTF8, "replace").removeprefix("\ufeff")])
        return cells[0] if cells else ()

    def _rows_of_head(self) -> Iterator[Row]:
        stream = self._text(io.BytesIO(self._head), self.written.compression, self.written.encoding)
        return jsonl_rows(stream, 0, 0) if self.written.format == "jsonl" else json_rows(stream)

    def rows(self, after: int = 0, at: int = 0) -> Iterator[Row]:
        """Yield all rows in order, or those after row ``after``, which ended at byte ``at``."""
        match self.written.format:
            case "sql":
                yield from (row for row in database_rows(self.address, self.query or "") if row.number > after)
            case "parquet":
                yield from parquet_rows(self.address, after)
            case kind:
                with self._bytes() as handle, reading(self.name):
                    yield from self._text_rows(kind, handle, after, at)

    def _text_rows(self, kind: str, handle: IO[bytes], after: int, at: int) -> Iterator[Row]:
        if kind == "jsonl" and at and self.written.direct:
            handle.seek(at)
            yield from jsonl_rows(handle, after, at)
            return
        stream = self._text(handle, self.written.compression, self.written.encoding)
        if kind == "jsonl":
            rows = jsonl_rows(stream, 0, 0)
        elif kind == "json":
            rows = json_rows(stream)
        else:
            rows = Table(self.written.delimiter, self.quoted, self.names).rows(stream)
        yield from (row for row in rows if row.number > after)

    def _text(self, handle: IO[bytes], compression: str, encoding: str) -> IO[bytes]:
        """Return the content of the file as a stream of UTF-8."""
        stream = decompressed(handle, compression, self.name)
        if encoding == UTF8:
            return stream
        return cast(IO[bytes], io.BufferedReader(Recoded(stream, encoding), CHUNK))

    @cached_property
    def _head(self) -> bytes:
        """The first lines of standard input, read without waiting for more; all of it if it is compressed."""
        stream = sys.stdin.buffer
        read: Any = getattr(stream, "read1", stream.read)
        head = bytes(read(CHUNK))
        if compression_of(head):
            return head + stream.read()
        return head if head.endswith(b"\n") else head + stream.readline()

    @contextmanager
    def _bytes(self) -> Iterator[IO[bytes]]:
        if self.path is None:
            yield cast(IO[bytes], io.BufferedReader(Prefixed(self._head, sys.stdin.buffer), CHUNK))
            return
        try:
            with self.path.open("rb") as handle:
                yield handle
        except PermissionError as error:
            raise InvalidInput(f"{self.name!r} cannot be read ({error.strerror}): check its permissions") from error
