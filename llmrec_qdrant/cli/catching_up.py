"""Does all pending work and shows its progress: in this process, or by the workers."""

from __future__ import annotations

import time
from collections.abc import Callable

from llmrec_qdrant.cli.printing import warn
from llmrec_qdrant.cli.progress import Update, bar
from llmrec_qdrant.cli.watching import NO_WORKER, NO_WORKER_SECONDS, watch_here
from llmrec_qdrant.contracts.answers import SpaceStatus
from llmrec_qdrant.recommender import Recommender

__all__ = ["catch_up", "pending"]


POLL_SECONDS = 0.5
"""Seconds between two counts of the pending work."""

QUIET_SECONDS = 60.0
"""Seconds without progress after which the watching ends."""


def catch_up(rec: Recommender, *, wait: bool, quiet: bool, finish: Callable[[], None] = lambda: None) -> SpaceStatus:
    """Announce all pending work and, with ``wait``, watch until none is left or progress stops; returns the last counts.

    ``finish`` waits for work that this process has begun.
    """
    with watch_here(rec, "encoding and refreshing", quiet):
        finish()
        announced = rec.reconcile()
    counted = rec.status()
    if not wait or not announced or not pending(counted):
        return counted
    with bar("workers are encoding and refreshing", pending(counted), quiet=quiet) as update:
        return _watch_workers(rec, counted, update)


def pending(counted: SpaceStatus) -> int:
    """Return how many points wait for a worker."""
    return counted.items_stale + counted.users_stale + counted.texts_stale + counted.events_unfolded


def _watch_workers(rec: Recommender, counted: SpaceStatus, update: Update) -> SpaceStatus:
    total = pending(counted)
    moved_at = time.monotonic()
    warned = False
    while before := pending(counted):
        time.sleep(POLL_SECONDS)
        counted = rec.status()
        left = pending(counted)
        total = max(total, left)
        update(total - left, total)
        if left != before:
            moved_at, warned = time.monotonic(), True  # a worker runs
        elif time.monotonic() - moved_at > QUIET_SECONDS:
            warn(
                f"no progress for {QUIET_SECONDS:g} s: no worker seems to be running. The work is stored; start a worker with "
                "`llmrec worker`"
            )
            break
        elif time.monotonic() - moved_at > NO_WORKER_SECONDS and not warned:
            warned = True
            warn(NO_WORKER)
    return counted
