"""What a load did, in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from llmrec_qdrant.contracts.answers import Receipt

__all__ = ["Loaded"]


@dataclass
class Loaded:
    """The result of a load. Counts are of rows, those of an earlier, interrupted load not included."""

    written: int = 0
    unchanged: int = 0
    duplicates: int = 0
    textless: int = 0
    """Items without text: only behaviour can recommend them."""
    rejected: int = 0
    """Rows that were refused, in all loads of this file together."""
    resumed_after: int = 0
    """The row at which an earlier load stopped; 0 if this one began at the beginning."""
    seconds: float = 0.0
    queued: bool = True
    """Whether the workers have taken every message."""
    rejects: str | None = None
    """The file that lists the refused rows."""

    def add(self, receipt: Receipt) -> None:
        """Count one batch."""
        self.written += receipt.written
        self.unchanged += receipt.unchanged
        self.duplicates += receipt.duplicates
        self.textless += receipt.textless
        self.queued = self.queued and receipt.queued

    def as_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return asdict(self)
