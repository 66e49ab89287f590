"""Stores batches of rows: waits while Qdrant is unavailable, and isolates rows that Qdrant refuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llmrec_qdrant.contracts.answers import PartlyRejected, Receipt
from llmrec_qdrant.errors import QdrantRefused, QdrantUnavailable
from llmrec_qdrant.load.columns import LoadKind
from llmrec_qdrant.load.rejects import Rejects
from llmrec_qdrant.load.report import Loaded
from llmrec_qdrant.load.sources import Row
from llmrec_qdrant.operations.retry import retrying
from llmrec_qdrant.recommender import Recommender

__all__ = ["Writer"]


MAX_LEADING_REFUSALS = 3
"""Consecutive refusals at the start of a batch after which Qdrant is taken to refuse everything."""

MAX_WAIT_SECONDS = 60.0
"""How long a load waits while Qdrant is unavailable."""

FIRST_PAUSE_SECONDS = 0.5
"""Pause before the second attempt; doubled before each further attempt."""

MAX_PAUSE_SECONDS = 8.0
"""Longest pause between two attempts."""

MAX_TRIES = 16
"""Attempts per batch; enough for :data:`MAX_WAIT_SECONDS` of pauses."""

ReadRow = tuple[Row, Any]
"""A row, and the item or event that was read from it."""


@dataclass
class Writer:
    """Stores rows, counts them in ``result``, and adds those that cannot be stored to ``refused``."""

    rec: Recommender
    kind: LoadKind
    result: Loaded
    refused: Rejects
    notice: Callable[[str], None]

    def write(self, rows: Sequence[ReadRow]) -> None:
        """Store one batch; if Qdrant refuses it, store it row by row, so that a bad row does not hold back the others."""
        if not rows:
            return
        try:
            self._count(self._store([entity for _, entity in rows]))
        except PartlyRejected as error:
            self._count(error.receipt)
            for rejection in error.receipt.rejected:
                self.refused.add(rows[rejection.position][0], rejection.reason)
        except QdrantRefused as error:
            if len(rows) == 1:
                self.refused.add(rows[0][0], str(error))
            else:
                self._write_singly(rows)

    def _write_singly(self, rows: Sequence[ReadRow]) -> None:
        """Store rows one by one.

        Raises :class:`QdrantRefused` if the first rows are all refused: then the rows are not the cause.
        """
        refusals: list[tuple[Row, QdrantRefused]] = []
        for position, (row, entity) in enumerate(rows, start=1):
            try:
                self._count(self._store([entity]))
            except QdrantRefused as error:
                refusals.append((row, error))
                if len(refusals) == position == min(len(rows), MAX_LEADING_REFUSALS):
                    raise
        for row, refusal in refusals:
            self.refused.add(row, str(refusal))

    def _count(self, receipt: Receipt) -> None:
        self.result.add(receipt)

    def _store(self, entities: Sequence[Any]) -> Receipt:
        """Store a batch, waiting up to :data:`MAX_WAIT_SECONDS` while Qdrant is unavailable."""
        patiently = retrying(
            first=FIRST_PAUSE_SECONDS,
            longest=MAX_PAUSE_SECONDS,
            attempts=MAX_TRIES,
            seconds=MAX_WAIT_SECONDS,
            on_first_pause=lambda error: self.notice(f"{error}; waiting for it, up to {MAX_WAIT_SECONDS:.0f} s"),
        )
        try:
            return patiently(self._try_to_store, entities)
        except QdrantUnavailable as error:
            raise QdrantUnavailable(
                f"{error}; rows loaded so far are safe: run the same command again to continue"
            ) from error

    def _try_to_store(self, entities: Sequence[Any]) -> Receipt:
        """Store a batch once. After a message was refused none are sent: each costs seconds, and reconcile finds the work."""
        if self.kind == "events":
            return self.rec.load_events(entities)
        if self.result.queued:
            return self.rec.upsert_items(entities)
        return self.rec.upsert_items(entities, notify=False)
