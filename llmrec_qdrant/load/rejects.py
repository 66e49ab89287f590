"""TODO: llmrec_qdrant.load.rejects."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO

from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.checkpoint import Done
from llmrec_qdrant.load.sources import Row


class _Rejects:
    """The file of refused rows; made when the first one comes."""

    def __init__(self, path: Path | None, before: Done) -> None:
        self._path, self._before = path, before
        self._handle: IO[bytes] | None = None
        self.count, self.size = before.rejected, before.rejects_size

    def __enter__(self) -> _Rejects:
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle:
            self._handle.close()

    def add(self, row: Row, reason: str) -> None:
        self.count += 1
        if self._path is None:
            return
        if self._handle is None:
            self._handle = self._opened(self._path)
        line = {"line": row.number, "reason": reason, "input": row.raw}
        self.size += self._handle.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        self._handle.flush()

    def _opened(self, path: Path) -> IO[bytes]:
        """The file, cut to what belongs to rows done before."""
        try:
            handle = path.open("r+b" if self._before.rejects_size and path.is_file() else "wb")
            handle.truncate(min(self._before.rejects_size, path.stat().st_size))
            handle.seek(0, os.SEEK_END)
        except OSError as error:
            raise InvalidInput(
                f"the list of refused rows {str(path)!r} cannot be written ({error.strerror}): "
                "name another with --rejects"
            ) from error
        self.size = handle.tell()
        return handle
