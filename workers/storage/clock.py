"""The clock: a Celery scheduler that has somebody look for pending work every few seconds.

It counts by the monotonic clock, since a wall clock may be set back or forth: Celery's own schedulers then wait until the old time
comes again. And its messages never expire, since Celery would compare the clocks of two machines. Instead, the clock sends nothing
while many messages wait.
"""

from __future__ import annotations

import logging
from typing import Any

from celery.beat import Scheduler

__all__ = ["BATCH", "RECONCILE_EVERY", "SWEEP", "Clock"]

log = logging.getLogger("llmrec.worker")

BATCH = "batch"
"""Queue of long jobs and sweeps."""
SWEEP = "llmrec.sweep"
"""Name of the task that looks for pending work."""
RECONCILE_EVERY = 5.0
"""Seconds between two searches for work that no message has announced."""
MAX_WAITING = 100
"""Messages in the queue above which no sweep joins them: no worker runs, or all have enough to do."""


class Clock(Scheduler):  # type: ignore[misc]  # Celery has no types
    """Sends a sweep every ``RECONCILE_EVERY`` seconds; several clocks do no harm."""

    def tick(self, *_: Any, **__: Any) -> float:
        """Send a sweep, and return the seconds until the next; an error of Redis is logged."""
        try:
            if self._waiting() < MAX_WAITING:
                self.app.send_task(SWEEP, queue=BATCH)
        except Exception as error:  # whatever kombu or redis-py raise: the next tick tries again
            log.warning("the clock could not send a sweep: %s: %s", type(error).__name__, error)
        return RECONCILE_EVERY

    def _waiting(self) -> int:
        """Return the number of messages that wait in the queue."""
        with self.app.connection_for_write() as connection:
            return int(connection.default_channel.queue_declare(queue=BATCH).message_count)
