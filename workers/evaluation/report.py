"""Progress of long work: a callback that hears the stage, what is done, and the total."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Report", "no_report"]


Report = Callable[[str, float, float], None]
"""Called as ``report(stage, done, total)``; an exception that it raises ends the work."""


def no_report(stage: str, done: float, total: float) -> None:
    """Ignore progress."""
