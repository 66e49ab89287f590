"""A file whose time says that a worker lives, for health checks of containers.

``LLMREC_ALIVE=/tmp/alive`` names it. It is touched by Celery's heartbeat, after every message sent (the clock sends one every few
seconds), after every task, and by the heartbeat of a running job. ``find /tmp/alive -mmin -5 | grep -q .`` then fails once a worker hangs.
Celery's own ``inspect ping`` would need remote control over Redis, and a single-process worker does not answer it during a task.
"""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

from llmrec_qdrant.settings import Settings

__all__ = ["touch"]

log = logging.getLogger("llmrec.worker")


@cache
def _file() -> Path | None:
    return Settings.current().alive


def touch(*_: object, **__: object) -> None:
    """Give the file the present time; the arguments are those of Celery's signals."""
    file = _file()
    if file is None:
        return
    try:
        file.touch()
    except OSError as error:
        log.warning("LLMREC_ALIVE: %s cannot be written: %s", file, error.strerror)
