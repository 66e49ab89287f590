"""Loads rows as items or events of a space: in batches, with a list of refused rows, and resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.checkpoint import Checkpoint, Done
from llmrec_qdrant.load.columns import LoadKind, Reader
from llmrec_qdrant.load.rejects import Rejects
from llmrec_qdrant.load.report import Loaded
from llmrec_qdrant.load.sources import Row, Source
from llmrec_qdrant.load.writer import ReadRow, Writer
from llmrec_qdrant.recommender import Recommender

__all__ = ["load"]


BATCH_ROWS = 256
"""Rows per acknowledged batch, the most that are read again after a crash."""

BATCH_CHARACTERS = 8_000_000
"""Characters per batch."""


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
    """Load all valid rows; list the others in ``rejects`` with their number and reason.

    With ``checkpoint``, an interrupted load resumes after the last batch that Qdrant acknowledged. ``progress`` receives the
    last row of each batch; ``notice`` receives messages for people. Events are only stored: call
    :meth:`Recommender.reconcile` afterwards to refresh each user once.

    Raises :class:`InvalidInput` for a table without the required columns, :class:`QdrantUnavailable` if Qdrant is
    unavailable for a minute.
    """
    began = time.monotonic()
    before = _done_before(checkpoint, notice)
    result = Loaded(resumed_after=before.row)
    reader = Reader(kind, rename or {}, rec.config.fields)
    with Rejects(rejects, before) as refused:
        writer = Writer(rec, kind, result, refused, notice)
        for batch in _batches(source.rows(before.row, before.at)):
            reader.check(batch[0].columns)
            writer.write(_read(reader, batch, refused))
            progress(batch[-1])
            if checkpoint:
                checkpoint.write(Done(batch[-1].number, batch[-1].at, refused.count, refused.size))
    if checkpoint:
        checkpoint.remove()
    result.rejected, result.rejects = refused.count, str(rejects) if refused.count else None
    result.seconds = time.monotonic() - began
    return result


def _done_before(checkpoint: Checkpoint | None, notice: Callable[[str], None]) -> Done:
    if checkpoint is None:
        return Done()
    if checkpoint.outdated:
        notice("the file or its target has changed since an earlier load stopped: loading from the beginning")
    return checkpoint.read()


def _read(reader: Reader, batch: Sequence[Row], refused: Rejects) -> list[ReadRow]:
    rows: list[ReadRow] = []
    for row in batch:
        try:
            rows.append((row, reader.read(row)))
        except InvalidInput as error:
            refused.add(row, str(error))
    return rows


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(len(value) for value in row.data.values() if isinstance(value, str))
        if len(batch) >= BATCH_ROWS or size > BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
