"""Rows → items and events of a space: in batches, with a list of what was refused, and able to resume."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from llmrec_qdrant.columns import LoadKind, Reader
from llmrec_qdrant.contracts import Message, Receipt
from llmrec_qdrant.errors import InvalidInput, PartlyRejected, QdrantRefused, QdrantUnavailable
from llmrec_qdrant.recommender import Recommender
from llmrec_qdrant.sources import Row, Source

__all__ = ["Checkpoint", "Done", "Loaded", "as_json", "load"]

BATCH = 256
"""Rows per acknowledged batch: what is read again at most after a crash."""
BATCH_SIZE = 8_000_000
"""Characters per batch."""
HOPELESS = 3
"""Rows refused at the beginning of a batch after which Qdrant seems to refuse everything."""
PATIENCE = 60.0
"""Seconds for which a Qdrant that went away is waited for."""


@dataclass
class Loaded:
    """What a load did."""

    written: int = 0
    unchanged: int = 0
    duplicates: int = 0
    textless: int = 0
    rejected: int = 0
    resumed_after: int = 0
    seconds: float = 0.0
    queued: bool = True
    rejects: str | None = None

    def add(self, receipt: Receipt) -> None:
        """Count one batch."""
        self.written += receipt.written
        self.unchanged += receipt.unchanged
        self.duplicates += receipt.duplicates
        self.textless += receipt.textless
        self.queued = self.queued and receipt.queued


@dataclass(frozen=True)
class Done:
    """How far a load has come."""

    row: int = 0
    at: int = 0
    """Bytes of the file."""
    rejected: int = 0
    rejects_size: int = 0
    """Bytes of the list of refused rows: what a crash added behind them is written again."""


@dataclass
class Checkpoint:
    """How far a file has been loaded, in a small file beside it, replaced after each acknowledged batch."""

    path: Path
    target: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, source: Source, kind: LoadKind, space: str, *, folder: Path | None = None, **more: Any
    ) -> Checkpoint | None:
        """The checkpoint of a file, in its folder or in ``folder``; None for what cannot be read from the middle.

        ``more`` is what else must be the same for the rows done to count, such as the Qdrant and the tenant.
        """
        if source.path is None or not source.path.is_file():
            return None
        found = source.path.stat()
        target = {"space": space, "kind": kind, "size": found.st_size, "modified": found.st_mtime, **more}
        return cls((folder or source.path.parent) / f"{source.path.name}.progress.json", target)

    def _stored(self) -> Mapping[str, Any] | None:
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return stored if isinstance(stored, dict) else {}

    @property
    def outdated(self) -> bool:
        """There is one, but of another load: the file has changed, or its target."""
        stored = self._stored()
        return stored is not None and {name: stored.get(name) for name in self.target} != dict(self.target)

    def read(self) -> Done:
        """What was done before; nothing if there is no checkpoint or it belongs to another load."""
        stored = self._stored()
        if not stored or self.outdated:
            return Done()
        numbers = (stored.get(name) for name in ("done", "at", "rejected", "rejects_size"))
        kept = [number if isinstance(number, int) and number >= 0 else None for number in numbers]
        return Done() if None in kept else Done(*(number or 0 for number in kept))

    def write(self, done: Done) -> None:
        """Record what is done.

        Raises :class:`InvalidInput` if the folder cannot be written to.
        """
        content = {
            **self.target, "done": done.row, "at": done.at, "rejected": done.rejected,
            "rejects_size": done.rejects_size,
        }  # fmt: skip
        scratch = self.path.with_suffix(".tmp")
        try:
            scratch.write_text(json.dumps(content), encoding="utf-8")
            os.replace(scratch, self.path)
        except OSError as error:
            raise InvalidInput(
                f"{str(self.path)!r} cannot be written ({error.strerror}): "
                "name a folder that can with --rejects FOLDER/FILE"
            ) from error

    def remove(self) -> None:
        """All rows are done."""
        self.path.unlink(missing_ok=True)


def load(
    rec: Recommender,
    source: Source,
    kind: LoadKind,
    *,
    rename: Mapping[str, str] | None = None,
    rejects: Path | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Callable[[Row], None] = lambda row: None,
    notice: Callable[[str], None] = lambda text: None,
) -> Loaded:
    """Load every row that can be; the others go to ``rejects`` with their number and reason.

    Rows acknowledged by an interrupted load of the same file are not read again.
    Raises :class:`InvalidInput` for a table without the columns that are needed.
    """
    began = time.monotonic()
    before = checkpoint.read() if checkpoint else Done()
    if checkpoint and checkpoint.outdated:
        notice("the file or its target has changed since an earlier load stopped: loading from the beginning")
    result = Loaded(resumed_after=before.row)
    reader, writer = Reader(kind, rename or {}, rec.config.fields), _Writer(rec, kind, notice)
    checked = False
    with _Rejects(rejects, before) as refused, _telling(rec) as tell:
        for batch in _batches(source.rows(before.row, before.at)):
            if batch[0].columns and not checked:
                reader.check(batch[0].columns)
                checked = True
            good: list[tuple[Row, Any]] = []
            for row in batch:
                try:
                    good.append((row, reader.read(row)))
                except InvalidInput as error:
                    refused.add(row, str(error))
            _store(writer, good, result, refused)
            tell(result.queued)
            progress(batch[-1])
            if checkpoint:
                checkpoint.write(Done(batch[-1].number, batch[-1].at, refused.count, refused.size))
    if checkpoint:
        checkpoint.remove()
    result.rejected, result.rejects = refused.count, str(rejects) if refused.count else None
    result.seconds = time.monotonic() - began
    return result


@contextmanager
def _telling(rec: Recommender) -> Iterator[Callable[[bool], None]]:
    """After the first refusal of a queue, no more is asked of it: each would cost seconds, and reconcile finds all."""
    queue = rec._queue

    def tell(queued: bool) -> None:
        if not queued and rec._queue is queue:
            rec._queue = _Silent()

    try:
        yield tell
    finally:
        rec._queue = queue


class _Silent:
    """A queue that takes nothing and complains of nothing."""

    def send(self, message: Message) -> None:
        """Drop the message."""


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(len(value) for value in row.data.values() if isinstance(value, str))
        if len(batch) >= BATCH or size > BATCH_SIZE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


# --- storing -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Writer:
    """Stores a batch, and waits for a Qdrant that went away."""

    rec: Recommender
    kind: LoadKind
    notice: Callable[[str], None]

    def __call__(self, good: Sequence[Any]) -> Receipt:
        store: Callable[[Any], Receipt] = self.rec.upsert_items if self.kind == "items" else self.rec.load_events
        pause, waited = 0.5, 0.0
        while True:
            began = time.monotonic()
            try:
                return store(good)
            except QdrantUnavailable as error:
                waited += time.monotonic() - began
                if waited >= PATIENCE:
                    raise QdrantUnavailable(
                        f"{error}; what was loaded is safe: run the same command again to go on"
                    ) from error
                if pause == 0.5:
                    self.notice(f"{error}; waiting for it up to {PATIENCE:.0f} s")
                delay = pause * random.uniform(0.5, 1.5)
                time.sleep(delay)
                waited, pause = waited + delay, min(pause * 2, 8.0)


def _store(write: _Writer, good: Sequence[tuple[Row, Any]], result: Loaded, refused: _Rejects) -> None:
    """Store a batch. Where Qdrant refuses it, row by row: one bad row must not hold back the others."""
    if not good:
        return
    try:
        result.add(write([one for _, one in good]))
    except PartlyRejected as error:
        result.add(error.receipt)
        for one in error.receipt.rejected:
            refused.add(good[one.position][0], one.reason)
    except QdrantRefused as error:
        if len(good) == 1:
            refused.add(good[0][0], str(error))
            return
        _one_by_one(write, good, result, refused)


def _one_by_one(write: _Writer, good: Sequence[tuple[Row, Any]], result: Loaded, refused: _Rejects) -> None:
    """Raises the refusal if it meets every single row: then it is not about the rows."""
    bad: list[tuple[Row, QdrantRefused]] = []
    for position, (row, one) in enumerate(good, start=1):
        try:
            result.add(write([one]))
        except QdrantRefused as error:
            bad.append((row, error))
            if len(bad) == position == min(len(good), HOPELESS):
                raise
    for row, refusal in bad:
        refused.add(row, str(refusal))


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


def as_json(result: Loaded) -> dict[str, Any]:
    """The result as plain data."""
    return asdict(result)
