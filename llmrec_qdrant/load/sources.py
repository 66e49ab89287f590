"""The sources of rows: a file, standard input or a database.

Rows are read one at a time, with their numbers, so a source may be larger than memory. A row that cannot be read is
returned with an error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.database import database_rows
from llmrec_qdrant.load.parquet import parquet_rows
from llmrec_qdrant.load.rows import Cell, Row
from llmrec_qdrant.load.text_files import csv_rows, jsonl_rows
from llmrec_qdrant.queues.base import mask_url

__all__ = ["Cell", "Row", "Source"]


FORMATS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet",
}  # fmt: skip
"""Extension of a file → format."""


@dataclass(frozen=True)
class Source:
    """A file, ``-`` for standard input, or a database URL with a query."""

    address: str
    format: str | None = None
    query: str | None = None

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
        return self.path is not None and self.kind() in {"jsonl", "csv", "tsv"}

    @property
    def name(self) -> str:
        """Name of the source in messages; without its password."""
        return "standard input" if self.address == "-" else mask_url(self.address)

    def kind(self) -> str:
        """Return the format: jsonl, csv, tsv, parquet or sql.

        Raises :class:`InvalidInput` for a file that does not exist or whose format is unknown.
        """
        if "://" in self.address:
            if not self.query or not re.match(r"\s*(select|with)\b", self.query, re.IGNORECASE):
                raise InvalidInput("a database needs a SELECT query: --query 'SELECT id, title, text FROM films'")
            return "sql"
        if self.path is not None and not self.path.is_file():
            raise InvalidInput(f"there is no file {self.address!r}: check the path")
        kind = self.format or (FORMATS.get(self.path.suffix.lower()) if self.path else "jsonl")
        if kind is None or kind not in FORMATS.values():
            raise InvalidInput(
                f"the format of {self.name!r} is not clear from its name: pass --format jsonl, csv, tsv or parquet"
            )
        if kind == "parquet" and self.path is None:
            raise InvalidInput("Parquet cannot be read from standard input: save it to a file first")
        return kind

    def rows(self, after: int = 0, at: int = 0) -> Iterator[Row]:
        """Yield all rows in order, or those after row ``after``, which ended at byte ``at``."""
        match self.kind():
            case "sql":
                yield from database_rows(self.address, self.query or "")
            case "parquet":
                yield from parquet_rows(self.address, after)
            case "jsonl":
                with self._opened() as handle:
                    if at:
                        handle.seek(at)
                    yield from (row for row in jsonl_rows(handle, after if at else 0, at) if row.number > after)
            case kind:
                with self._opened() as handle:
                    delimiter = "\t" if kind == "tsv" else ","
                    yield from (row for row in csv_rows(handle, delimiter) if row.number > after)

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        if self.path is None:
            yield sys.stdin.buffer
            return
        try:
            with self.path.open("rb") as handle:
                yield handle
        except OSError as error:
            raise InvalidInput(f"{self.name!r} cannot be read ({error.strerror}): check its permissions") from error
