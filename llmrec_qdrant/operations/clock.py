"""TODO: llmrec_qdrant.operations.clock."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(moment: datetime) -> str:
    """UTC, in the form that Qdrant indexes and people read."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def timestamp(stored: str) -> float:
    """Unix seconds of what :func:`iso` made."""
    return datetime.fromisoformat(stored).timestamp()


def now() -> str:
    """This moment."""
    return iso(datetime.now(UTC))
