"""Rows → items and events of a space: in batches, with a list of what was refused, and able to resume."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmrec_qdrant.contracts.answers import PartlyRejected, Receipt
from llmrec_qdrant.contracts.messages import Message
from llmrec_qdrant.errors import InvalidInput, QdrantRefused, QdrantUnavailable
from llmrec_qdrant.load.checkpoint import Checkpoint, Done
from llmrec_qdrant.load.columns import LoadKind, Reader
from llmrec_qdrant.load.rejects import _Rejects
from llmrec_qdrant.load.sources import Row, Source
from llmrec_qdrant.recommender import Recommender

__all__ = ["Loaded", "as_json", "load"]


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


def as_json(result: Loaded) -> dict[str, Any]:
    """The result as plain data."""
    return asdict(result)
