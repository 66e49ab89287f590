"""Retries calls while Qdrant is unavailable, with growing, randomised pauses, or the pause that Qdrant asks for."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import cast

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, stop_after_delay

from llmrec_qdrant.errors import QdrantUnavailable

__all__ = ["pause_after", "retrying"]


def pause_after(error: QdrantUnavailable, tries: int, first: float, longest: float) -> float:
    """Return the seconds before the next attempt: those Qdrant asked for, or else ``first``, doubled up to ``longest``, with jitter.

    ``tries`` counts the attempts that failed before the latest one.

    >>> pause_after(QdrantUnavailable("busy", retry_after=3.0), 0, first=0.4, longest=2.0)
    3.0
    """
    return error.retry_after or min(first * 2.0**tries, longest) * random.uniform(0.5, 1.0)


def retrying(
    *,
    first: float,
    longest: float,
    attempts: int,
    seconds: float = float("inf"),
    max_asked: float = 5.0,
    on_first_pause: Callable[[QdrantUnavailable], None] = lambda error: None,
) -> Retrying:
    """Return a caller that repeats a function while it raises :class:`QdrantUnavailable`: ``retrying(…)(function, *arguments)``.

    ``first`` and ``longest`` are pauses in seconds. The last error is raised after ``attempts`` calls, after ``seconds``, or at
    once if Qdrant asks for a pause of more than ``max_asked`` seconds. ``on_first_pause`` receives the first error.
    """

    def worth_waiting(error: BaseException) -> bool:
        return isinstance(error, QdrantUnavailable) and (error.retry_after or 0.0) <= max_asked

    def pause(state: RetryCallState) -> float:
        return pause_after(_error(state), state.attempt_number - 1, first, longest)

    return Retrying(
        retry=retry_if_exception(worth_waiting),
        wait=pause,
        stop=stop_after_attempt(attempts) | stop_after_delay(seconds),
        before_sleep=lambda state: on_first_pause(_error(state)) if state.attempt_number == 1 else None,
        reraise=True,
    )


def _error(state: RetryCallState) -> QdrantUnavailable:
    """Return the error of the failed attempt; :func:`retrying` retries after no other kind."""
    return cast(QdrantUnavailable, state.outcome.exception()) if state.outcome else QdrantUnavailable("no answer")
