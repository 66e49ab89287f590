"""Upkeep of shards after many writes: optimizes segments, and shortens the write-ahead log.

A shard replays its log when it is opened. The log keeps every update since the last flush, so without one a process that
stays up for weeks would fill the disk and open slowly after a crash.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import qdrant_edge as edge

from llmrec_qdrant.embedded.shards import edge_errors
from llmrec_qdrant.embedded.updates import written_points
from llmrec_qdrant.errors import LlmrecError

__all__ = ["Upkeep"]

log = logging.getLogger("llmrec.embedded")

OPTIMIZE_AFTER = 10_000
"""Written points after which the segments of a shard are optimized."""
FLUSH_AFTER = 10_000
"""Updates after which a shard is flushed."""


class Upkeep:
    """Counts what is written to each shard. Threads may share it."""

    def __init__(self) -> None:
        self._points: Counter[str] = Counter()
        self._updates: Counter[str] = Counter()
        self._lock = threading.Lock()

    def after(self, folder: str, shard: edge.EdgeShard, operations: Sequence[Any]) -> None:
        """Do what is due after these operations. They are stored already, so a failure is logged, not raised."""
        points = sum(written_points(operation) for operation in operations)
        with self._lock:
            self._points[folder] += points
            self._updates[folder] += max(points, len(operations))
            optimize, flush = self._points[folder] >= OPTIMIZE_AFTER, self._updates[folder] >= FLUSH_AFTER
            if optimize:
                del self._points[folder]
            if flush:
                del self._updates[folder]
        try:
            with edge_errors():
                if optimize:
                    shard.optimize()
                if flush:
                    shard.flush()
        except LlmrecError as error:
            log.warning("upkeep of %s failed: %s", folder, error)

    def forget(self, folder: str) -> None:
        """Forget a deleted shard."""
        with self._lock:
            self._points.pop(folder, None)
            self._updates.pop(folder, None)
