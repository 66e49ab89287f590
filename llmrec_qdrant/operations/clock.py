"""Times as Qdrant indexes them, ISO 8601 in UTC with microseconds, and the clock that all machines share: Qdrant's.

Every answer of Qdrant carries its time (the ``Date`` header, in whole seconds). Where this machine's clock differs by more than a few
seconds, :func:`now` returns Qdrant's time, so that a lease written by one machine ends at the same moment for all others.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

__all__ = ["Difference", "ahead", "in_words", "iso", "listen", "listen_async", "now", "present", "timestamp"]

TOLERANCE = 3.0
"""Seconds of difference that do not count: the header has whole seconds, and an answer takes time."""
STEADY = 1.5
"""Seconds by which a new measurement must differ to replace the old one."""
MEASUREMENTS = 5
"""Latest answers of which the least difference counts: a delayed answer only makes this machine seem ahead."""


class Difference:
    """Seconds by which this machine's clock is ahead of Qdrant's, measured with every answer."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque(maxlen=MEASUREMENTS)
        self.seconds = 0.0
        """Negative if this machine is behind; 0 for a difference that does not count, or before the first answer."""

    def measure(self, date: str, at: datetime) -> None:
        """Take the ``Date`` header of an answer that arrived ``at`` this machine's time; an unreadable one is passed over."""
        try:
            theirs = parsedate_to_datetime(date) + timedelta(seconds=0.5)  # cut off to whole seconds
            self._latest.append((at - theirs).total_seconds())
        except (TypeError, ValueError):
            return
        least = min(list(self._latest))
        if abs(least) < TOLERANCE:
            self.seconds = 0.0
        elif abs(least - self.seconds) > STEADY:
            self.seconds = least


_difference = Difference()
"""Of this process. One that talks to several Qdrants goes by whichever answered last."""


def listen(answer: Any) -> None:
    """Take the time from an answer of Qdrant: a hook for ``httpx.Client``."""
    _difference.measure(answer.headers.get("date", ""), datetime.now(UTC))


async def listen_async(answer: Any) -> None:
    """As :func:`listen`, for ``httpx.AsyncClient``."""
    listen(answer)


def ahead() -> float:
    """Return the seconds by which this machine's clock is ahead of Qdrant's; 0 below ``TOLERANCE``, negative if it is behind."""
    return _difference.seconds


def in_words(whose: str, seconds: float) -> str:
    """Return the sentence that reports a clock.

    >>> in_words("host a", -92.4)
    "The clock of host a is 92 s behind Qdrant's: set it by NTP. Work goes on, timed by Qdrant's clock."
    """
    side = "ahead of" if seconds > 0 else "behind"
    return (
        f"The clock of {whose} is {abs(seconds):,.0f} s {side} Qdrant's: set it by NTP. "
        "Work goes on, timed by Qdrant's clock."
    )


def iso(moment: datetime) -> str:
    """Format a time in UTC, as Qdrant indexes it and people read it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def timestamp(stored: str) -> float:
    """Return the Unix seconds of a time that :func:`iso` wrote."""
    return datetime.fromisoformat(stored).timestamp()


def present() -> datetime:
    """Return the current time by Qdrant's clock."""
    return datetime.now(UTC) - timedelta(seconds=_difference.seconds)


def now() -> str:
    """Return the current time by Qdrant's clock, as :func:`iso` formats it."""
    return iso(present())
