"""The list of refused rows: one JSON line per row, with its line number, the reason and the whole input.

A mended list is loaded like any other file: see :func:`llmrec_qdrant.load.rows.mended`.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.checkpoint import Done
from llmrec_qdrant.load.rows import REJECT_KEYS, Cell
from llmrec_qdrant.load.sources import Row

__all__ = ["Group", "Rejects"]

MAX_GROUPS = 1_000
"""Reasons that are told apart."""


@dataclass
class Group:
    """Rows that were refused for the same reason."""

    reason: str
    """The reason as the first of them had it."""
    line: int
    """Line of the first."""
    count: int = 0


class Rejects:
    """Writes refused rows to a file, which the first of them creates; without a path it only counts them.

    A file that is no list of refused rows is never overwritten, nor what a symbolic link points to.
    """

    def __init__(self, path: Path | None, before: Done, source: Path | None = None) -> None:
        self._path, self._before = path, before
        self._handle: IO[bytes] | None = None
        self._groups: dict[str, Group] = {}
        self.count, self.size, self.mark = before.rejected, before.rejects_size, 0
        if path is not None:
            _check_target(path, source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle:
            self._handle.close()

    @property
    def groups(self) -> list[Group]:
        """The reasons, the most frequent first."""
        return sorted(self._groups.values(), key=lambda group: -group.count)

    def add(self, row: Row, reason: str) -> None:
        """Write one row, and flush, so that a crash loses none.

        Raises :class:`InvalidInput` if the file cannot be written.
        """
        self.count += 1
        key = _without_values(reason)
        if key in self._groups or len(self._groups) < MAX_GROUPS:
            self._groups.setdefault(key, Group(reason, row.place)).count += 1
        if self._path is None:
            return
        if self._handle is None:
            self._handle = self._opened(self._path)
        text = json.dumps(self._record(row, reason), ensure_ascii=False, default=str)
        self.size += self._handle.write(text.encode("utf-8", "replace") + b"\n")
        self._handle.flush()

    def _record(self, row: Row, reason: str) -> dict[str, Any]:
        record: dict[str, Any] = {"line": row.place, "reason": reason, "input": row.input}
        cells = row.raw if row.error else row.data.values()
        if row.columns:
            record["columns"] = list(row.columns)
        if isinstance(row.raw, list) or any(isinstance(cell, Cell) for cell in cells):
            record["cells"] = True
        return {**record, "mark": self.mark if row.mark is None else row.mark}

    def _opened(self, path: Path) -> IO[bytes]:
        """Open the file and cut it back to the size in the checkpoint: later rows are read, and refused, again."""
        follow = getattr(os, "O_NOFOLLOW", 0)
        try:
            if not self._before.rejects_size:
                self._set_aside(path)
            handle = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | follow, 0o644), "r+b")
            handle.truncate(min(self._before.rejects_size, os.fstat(handle.fileno()).st_size))
            handle.seek(0, os.SEEK_END)
        except OSError as error:
            raise InvalidInput(
                f"the list of refused rows {str(path)!r} cannot be written ({error.strerror}): "
                "name another file with --rejects"
            ) from error
        self.size = handle.tell()
        return handle

    def finish(self) -> None:
        """Set the list of an earlier load aside if this one, from the beginning, refused nothing."""
        if self._path is not None and not self.count:
            self._set_aside(self._path)

    def _set_aside(self, path: Path) -> None:
        """Rename the list of an earlier load, which may have been mended since."""
        if path.exists() and _is_ours(path):
            os.replace(path, _aside(path))


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.bak")


def _check_target(path: Path, source: Path | None) -> None:
    """Refuse a file that must not be overwritten, before anything is loaded.

    Raises :class:`InvalidInput`.
    """
    advice = "name another file with --rejects"
    if path.is_symlink():
        raise InvalidInput(
            f"the list of refused rows {str(path)!r} is a symbolic link, which is not followed: {advice}"
        )
    same = [target for target in (path, _aside(path)) if source and target.exists() and target.samefile(source)]
    if same:
        raise InvalidInput(f"the list of refused rows {str(path)!r} is the file that is loaded: {advice}")
    for target in (path, _aside(path)):
        if target.is_symlink() or (target.exists() and not _is_ours(target)):
            raise InvalidInput(
                f"{str(target)!r} exists and is no list of refused rows, so it is not overwritten: {advice}"
            )


def _is_ours(path: Path) -> bool:
    """Whether a file is a list of refused rows, or empty."""
    if path.is_symlink() or not path.exists() or not stat.S_ISREG(path.stat().st_mode):
        return False
    with path.open("rb") as handle:
        line = handle.readline(100_000_000)
    try:
        record = json.loads(line) if line.strip() else None
    except ValueError:
        return False
    return record is None if not line else isinstance(record, dict) and record.keys() >= REJECT_KEYS


def _without_values(reason: str) -> str:
    """Return a reason without the values in it, by which reasons are grouped; the name of the field stays.

    >>> _without_values("Event: 'ts': '2024-13-01' is no time") == _without_values("Event: 'ts': '2024-02-30' is no time")
    True
    """
    head = re.match(r"(?:(?:Item|Event): )?'[^']{1,80}': ", reason)
    start = head.end() if head else 0
    return reason[:start] + re.sub(r"'[^']*'|\"[^\"]*\"|\d[\d,.e+-]*", "…", reason[start:])


def listed(groups: list[Group], most: int = 5) -> Iterator[str]:
    """Yield a sentence per reason, the most frequent first."""
    for group in groups[:most]:
        yield f"{group.count:,} × {group.reason} (first in line {group.line:,})"
    if len(groups) > most:
        yield f"{sum(group.count for group in groups[most:]):,} more for {len(groups) - most:,} other reasons"
