"""The list of refused rows: one JSON line per row, with its line number, the reason and the input."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Self

from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.checkpoint import Done
from llmrec_qdrant.load.sources import Row

__all__ = ["Rejects"]


class Rejects:
    """Writes refused rows to a file, which the first of them creates; without a path it only counts them."""

    def __init__(self, path: Path | None, before: Done) -> None:
        self._path, self._before = path, before
        self._handle: IO[bytes] | None = None
        self.count, self.size = before.rejected, before.rejects_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle:
            self._handle.close()

    def add(self, row: Row, reason: str) -> None:
        """Write one row, and flush, so that a crash loses none.

        Raises :class:`InvalidInput` if the file cannot be written.
        """
        self.count += 1
        if self._path is None:
            return
        if self._handle is None:
            self._handle = self._opened(self._path)
        line = {"line": row.number, "reason": reason, "input": row.raw}
        self.size += self._handle.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        self._handle.flush()

    def _opened(self, path: Path) -> IO[bytes]:
        """Open the file and cut it back to the size in the checkpoint: later rows are read, and refused, again."""
        try:
            handle = path.open("r+b" if self._before.rejects_size and path.is_file() else "wb")
            handle.truncate(min(self._before.rejects_size, path.stat().st_size))
            handle.seek(0, os.SEEK_END)
        except OSError as error:
            raise InvalidInput(
                f"the list of refused rows {str(path)!r} cannot be written ({error.strerror}): "
                "name another file with --rejects"
            ) from error
        self.size = handle.tell()
        return handle
