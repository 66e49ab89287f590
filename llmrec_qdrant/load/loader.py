"""Loads rows as items or events of a space: in batches, with a list of refused rows, and resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from llmrec_qdrant.contracts.config import FieldKind
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.checkpoint import Checkpoint, Done
from llmrec_qdrant.load.columns import LoadKind, Reader
from llmrec_qdrant.load.layouts import layout_of
from llmrec_qdrant.load.recipe import NOTHING, Recipe, merged
from llmrec_qdrant.load.rejects import Rejects
from llmrec_qdrant.load.report import Loaded
from llmrec_qdrant.load.sources import Row, Source
from llmrec_qdrant.load.survey import Survey, survey
from llmrec_qdrant.load.times import Clock
from llmrec_qdrant.load.writer import ReadRow, Writer
from llmrec_qdrant.recommender import Recommender

__all__ = ["How", "load", "look"]


BATCH_ROWS = 256
"""Rows per acknowledged batch, the most that are read again after a crash."""

BATCH_CHARACTERS = 8_000_000
"""Characters per batch."""


@dataclass(frozen=True)
class How:
    """How a source is read, where it is not as the fields have it."""

    recipe: Recipe = NOTHING
    format: str = ""
    """Name of a known data set; empty for other sources."""
    clock: Clock = field(default_factory=Clock)
    keep_html: bool = False


def load(
    rec: Recommender,
    source: Source,
    kind: LoadKind,
    *,
    how: How | None = None,
    rejects: Path | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Callable[[Row], None] = lambda row: None,
    notice: Callable[[str], None] = lambda text: None,
) -> Loaded:
    """Load all valid rows; list the others in ``rejects`` with their number and reason.

    With ``checkpoint``, an interrupted load resumes after the last batch that Qdrant acknowledged. ``progress`` receives the
    last row of each batch; ``notice`` receives messages for people. Events are only stored: call
    :meth:`Recommender.reconcile` afterwards to refresh each user once.

    Raises :class:`InvalidInput` for a source without rows or without the required columns, :class:`QdrantUnavailable` if
    Qdrant is unavailable for a minute.
    """
    began = time.monotonic()
    source, seen = look(source, kind, how or How(), rec.config.fields)
    before = _done_before(checkpoint, notice)
    result = Loaded(resumed_after=before.row, assumed=seen.assumed)
    if seen.assumed:
        notice(f"{source.name}: {'; '.join(seen.assumed)}")
    with Rejects(rejects, before, source.path) as refused:
        refused.mark = seen.reader.mark
        writer = Writer(rec, kind, result, refused, notice)
        for batch in _batches(seen.rows or source.rows(before.row, before.at)):
            writer.write(_read(seen.reader, batch, refused))
            progress(batch[-1])
            if checkpoint:
                checkpoint.write(Done(batch[-1].number, batch[-1].at, refused.count, refused.size))
        refused.finish()
    if checkpoint:
        checkpoint.remove()
    result.rejected, result.rejects = refused.count, str(rejects) if refused.count and rejects else None
    result.undated, result.decoded, result.reasons = seen.reader.undated, seen.reader.decoded, refused.groups
    result.seconds = time.monotonic() - began
    return result


def look(source: Source, kind: LoadKind, how: How, indexed: Mapping[str, FieldKind]) -> tuple[Source, Survey]:
    """Look at a source, as the data set that ``how`` names or as any other; returns how it is read, too.

    Raises :class:`InvalidInput` for a source that has no rows or cannot be loaded.
    """
    source.kind()
    recipe, clock, said = how.recipe, how.clock, list[str]()
    if how.format:
        layout = layout_of(how.format, kind, source, source.columns())
        recipe = merged(layout.recipe, recipe)
        clock = clock if clock.format else replace(clock, format=layout.time_format)
        source = source.read_as(
            names=layout.names or source.names, quoted=layout.quoted, delimiter=layout.delimiter or source.delimiter
        )
        said.append(f"{layout.file} of {how.format}: {recipe}")
    seen = survey(source, kind, recipe, clock, indexed, how.keep_html, own=how.recipe)
    if not seen.sample:
        raise InvalidInput(
            f"{source.name!r} has no rows{' below its header' * (source.kind() == 'csv')}: there is nothing to load"
        )
    if source.written.noteworthy:
        said.append(f"read as {source.written}")
    return source, replace(seen, assumed=(*said, *seen.assumed))


def _done_before(checkpoint: Checkpoint | None, notice: Callable[[str], None]) -> Done:
    if checkpoint is None:
        return Done()
    if checkpoint.outdated:
        notice("the file or its target has changed since an earlier load stopped: loading from the beginning")
    return checkpoint.read()


def _read(reader: Reader, batch: Sequence[Row], refused: Rejects) -> list[ReadRow]:
    """Read rows; one of which a part is refused is listed once, and its other parts are stored."""
    rows: list[ReadRow] = []
    for row in batch:
        reasons: list[str] = []
        try:
            for place, data in enumerate(reader.parts(row)):
                try:
                    rows.append((row, reader.read(data, row, place)))
                except InvalidInput as error:
                    reasons.append(str(error))
        except InvalidInput as error:
            reasons.append(str(error))
        if reasons:
            refused.add(row, reasons[0])
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
