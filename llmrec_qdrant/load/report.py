"""The result of a load, in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from llmrec_qdrant.contracts.answers import Receipt
from llmrec_qdrant.load.rejects import Group

__all__ = ["Loaded"]


@dataclass
class Loaded:
    """Counts the rows of a load; those of an earlier, interrupted load are not included."""

    written: int = 0
    unchanged: int = 0
    duplicates: int = 0
    textless: int = 0
    """Items without text: only behaviour can recommend them."""
    rejected: int = 0
    """Refused rows, including those of earlier, interrupted loads of the file."""
    resumed_after: int = 0
    """Number of the row at which an earlier load stopped; 0 if this load began at the beginning."""
    seconds: float = 0.0
    queued: bool = True
    """Whether the queue accepted every message."""
    rejects: str | None = None
    """Path of the list of refused rows; None if none were refused."""
    undated: int = 0
    """Events without a time, which got one derived from their line."""
    decoded: int = 0
    """Titles and texts in which HTML was decoded."""
    assumed: tuple[str, ...] = ()
    """What was assumed of the source, in words."""
    reasons: list[Group] = field(default_factory=list)
    """Why rows were refused, the most frequent reason first."""

    def add(self, receipt: Receipt) -> None:
        """Add the counts of one batch."""
        self.written += receipt.written
        self.unchanged += receipt.unchanged
        self.duplicates += receipt.duplicates
        self.textless += receipt.textless
        self.queued = self.queued and receipt.queued

    def as_json(self) -> dict[str, Any]:
        """Return the result as plain data."""
        return asdict(self)
