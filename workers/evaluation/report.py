"""The callback that reports the progress of long work."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Report", "no_report"]


Report = Callable[[str, float, float], None]
"""Called as ``report(stage, done, total)``; raising an exception ends the work."""


def no_report(stage: str, done: float, total: float) -> None:
    """Ignore progress."""
