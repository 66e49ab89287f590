"""Rows → items and events of a space: in batches, with a list of what was refused, and able to resume."""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from llmrec_qdrant.contracts import Event, Item, Receipt
from llmrec_qdrant.errors import InvalidInput, QdrantUnavailable
from llmrec_qdrant.recommender import Recommender
from llmrec_qdrant.sources import Cell, Row, Source

__all__ = ["Checkpoint", "Loaded", "event_of", "item_of", "load"]

BATCH = 256
"""Rows per acknowledged batch: what is read again at most after a crash."""
PATIENCE = 60.0
"""Seconds for which a Qdrant that went away is waited for."""

LoadKind = Literal["items", "events"]
ITEM_FIELDS = frozenset(Item.model_fields)
EVENT_FIELDS = frozenset(Event.model_fields)


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


@dataclass
class Checkpoint:
    """How far a file has been loaded, in a small file beside it, replaced after each acknowledged batch."""

    path: Path
    target: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, source: Source, kind: LoadKind, space: str) -> Checkpoint | None:
        """The checkpoint of a file; None for what cannot be read from the middle."""
        if source.path is None or not source.path.is_file():
            return None
        found = source.path.stat()
        target = {"space": space, "kind": kind, "size": found.st_size, "modified": found.st_mtime}
        return cls(source.path.with_name(source.path.name + ".progress.json"), target)

    def read(self) -> int:
        """Rows done before; 0 if there is none or the file has changed since."""
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))
            done = int(stored.pop("done"))
        except (OSError, ValueError, KeyError, AttributeError):
            return 0
        return done if stored == dict(self.target) else 0

    def write(self, done: int) -> None:
        """Record rows done."""
        scratch = self.path.with_suffix(".tmp")
        scratch.write_text(json.dumps({**self.target, "done": done}), encoding="utf-8")
        os.replace(scratch, self.path)

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
    """
    began = time.monotonic()
    result = Loaded(resumed_after=checkpoint.read() if checkpoint else 0)
    read: Callable[[Mapping[str, Any]], Any] = item_of if kind == "items" else event_of
    store: Callable[[Any], Receipt] = rec.upsert_items if kind == "items" else rec.load_events
    with _Rejects(rejects, keep=result.resumed_after > 0) as refused:
        for batch in _batches(source.rows(), result.resumed_after):
            good: list[Any] = []
            for row in batch:
                try:
                    if row.error:
                        raise InvalidInput(row.error)
                    good.append(read(_renamed(row.data, rename or {})))
                except InvalidInput as error:
                    refused.add(row, str(error))
            if good:
                result.add(_patiently(store, good, notice))
            progress(batch[-1])
            if checkpoint:
                checkpoint.write(batch[-1].number)
    if checkpoint:
        checkpoint.remove()
    result.rejected, result.rejects = refused.count, str(rejects) if refused.count else None
    result.seconds = time.monotonic() - began
    return result


def _batches(rows: Iterator[Row], skip: int) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        if row.number <= skip:
            continue
        batch.append(row)
        size += sum(len(value) for value in row.data.values() if isinstance(value, str))
        if len(batch) >= BATCH or size > 8_000_000:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _patiently(store: Callable[[Any], Receipt], good: Sequence[Any], notice: Callable[[str], None]) -> Receipt:
    pause, waited = 0.5, 0.0
    while True:
        try:
            return store(good)
        except QdrantUnavailable as error:
            if waited >= PATIENCE:
                raise QdrantUnavailable(
                    f"{error}; what was loaded is safe: run the same command again to go on"
                ) from error
            if waited == 0:
                notice(f"{error}; waiting for it")
            delay = pause * random.uniform(0.5, 1.5)
            time.sleep(delay)
            waited, pause = waited + delay, min(pause * 2, 8.0)


class _Rejects:
    """The file of refused rows; made when the first one comes."""

    def __init__(self, path: Path | None, keep: bool) -> None:
        self._path, self._mode = path, "a" if keep else "w"
        self._handle: Any = None
        self.count = 0

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
            self._handle = self._path.open(self._mode, encoding="utf-8")
        line = {"line": row.number, "reason": reason, "input": row.raw}
        self._handle.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._handle.flush()


# --- rows → contracts ----------------------------------------------------------------------------


def _renamed(data: Mapping[str, Any], rename: Mapping[str, str]) -> dict[str, Any]:
    """Fields under their new names; a field renamed to nothing is dropped."""
    return {new: value for name, value in data.items() if (new := rename.get(name, name))}


def item_of(data: Mapping[str, Any]) -> Item:
    """An item from a row; columns that are no field of an item become payload.

    >>> item_of({"id": "1", "title": "Heat", "year": 1995}).payload
    {'year': 1995}
    """
    own = {name: _typed(value) for name, value in data.items() if name not in ITEM_FIELDS}
    fields = {name: value for name, value in data.items() if name in ITEM_FIELDS}
    given = fields.pop("payload", {})
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            raise InvalidInput(f"Item: 'payload': not JSON: {given[:60]!r}") from None
    if not isinstance(given, Mapping):
        raise InvalidInput(f"Item: 'payload': expected an object, not {str(given)[:60]!r}")
    return Item(**fields, payload={**given, **own})


def event_of(data: Mapping[str, Any]) -> Event:
    """An event from a row.

    Raises :class:`InvalidInput` for a column that is no field of an event.
    """
    unknown = sorted(data.keys() - EVENT_FIELDS)
    if unknown:
        raise InvalidInput(
            f"Event: unknown fields {unknown}: rename one with --map {unknown[0]}=item, or drop it with --map {unknown[0]}="
        )
    return Event(**data)


def _typed(value: Any) -> Any:
    """A cell of a table as the number or truth value it spells; codes such as 007 stay text."""
    if not isinstance(value, Cell):
        return value
    if value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if re.fullmatch(r"-?(0|[1-9]\d{0,17})", value):
        return int(value)
    if re.fullmatch(r"-?(0|[1-9]\d*)\.\d+", value):
        return float(value)
    return str(value)


def as_json(result: Loaded) -> dict[str, Any]:
    """The result as plain data."""
    return asdict(result)
