"""How long this process has seen a value unchanged, by its monotonic clock: an age that needs no two clocks to agree."""

from __future__ import annotations

import time
from typing import Any

__all__ = ["Observed"]

MAX_REMEMBERED = 1_000
"""Values that a process remembers."""


class Observed:
    """Remembers for each key its value and when this process first saw it."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Any, float]] = {}

    def seconds(self, key: str, value: Any) -> float:
        """Return for how many seconds this process has known ``value`` under ``key``; 0 at the first sight."""
        known, since = self._seen.get(key, (None, 0.0))
        if known != value:
            since = time.monotonic()
            if len(self._seen) >= MAX_REMEMBERED:
                self._seen.clear()
            self._seen[key] = (value, since)
        return time.monotonic() - since
