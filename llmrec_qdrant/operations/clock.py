"""Times as Qdrant indexes them: ISO 8601 in UTC with microseconds."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["iso", "now", "timestamp"]


def iso(moment: datetime) -> str:
    """Format a time in UTC, as Qdrant indexes it and people read it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def timestamp(stored: str) -> float:
    """Return the Unix seconds of a time that :func:`iso` wrote."""
    return datetime.fromisoformat(stored).timestamp()


def now() -> str:
    """Return the current time, as :func:`iso` formats it."""
    return iso(datetime.now(UTC))
