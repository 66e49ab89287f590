"""Times as Qdrant indexes them: ISO 8601 in UTC with microseconds."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["iso", "now", "timestamp"]


def iso(moment: datetime) -> str:
    """UTC, in the form that Qdrant indexes and people read."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def timestamp(stored: str) -> float:
    """Unix seconds of a time written by :func:`iso`."""
    return datetime.fromisoformat(stored).timestamp()


def now() -> str:
    """The current time."""
    return iso(datetime.now(UTC))
