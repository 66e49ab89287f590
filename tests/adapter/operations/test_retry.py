"""Trying again while Qdrant is away, without waiting."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from llmrec_qdrant.errors import QdrantRefused, QdrantUnavailable
from llmrec_qdrant.operations.retry import pause_after, retrying


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


def failing(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return call


AWAY = QdrantUnavailable("away")


def test_pauses_double_up_to_a_limit_with_jitter(pauses: list[float]) -> None:
    assert retrying(first=0.4, longest=1.0, attempts=6)(failing(AWAY, AWAY, AWAY, AWAY)) == "done"
    for pause, longest in zip(pauses, (0.4, 0.8, 1.0, 1.0), strict=True):
        assert longest / 2 <= pause <= longest
    assert len({pause_after(AWAY, 3, 1.0, 30.0) for _ in range(5)}) > 1, "processes do not return all at once"


def test_the_last_error_is_raised_after_the_last_attempt(pauses: list[float]) -> None:
    with pytest.raises(QdrantUnavailable, match="away"):
        retrying(first=0.1, longest=1.0, attempts=3)(failing(*[AWAY] * 3))
    assert len(pauses) == 2


def test_what_qdrant_asks_for_is_obeyed_unless_it_is_too_long(pauses: list[float]) -> None:
    busy = QdrantUnavailable("busy", retry_after=3.0)
    assert retrying(first=0.1, longest=1.0, attempts=3)(failing(busy)) == "done"
    assert pauses == [3.0]
    with pytest.raises(QdrantUnavailable):
        retrying(first=0.1, longest=1.0, attempts=3, max_asked=2.0)(failing(busy))
    assert pauses == [3.0]


def test_other_errors_are_not_waited_for(pauses: list[float]) -> None:
    with pytest.raises(QdrantRefused):
        retrying(first=0.1, longest=1.0, attempts=3)(failing(QdrantRefused("no")))
    assert pauses == []


def test_time_ends_it_before_the_attempts_do(pauses: list[float]) -> None:
    with pytest.raises(QdrantUnavailable):
        retrying(first=0.1, longest=1.0, attempts=3, seconds=0.0)(failing(AWAY))
    assert pauses == []


def test_the_first_error_that_is_waited_for_is_reported(pauses: list[float]) -> None:
    seen: list[QdrantUnavailable] = []
    retrying(first=0.1, longest=1.0, attempts=3, on_first_pause=seen.append)(failing(AWAY, AWAY))
    assert seen == [AWAY]
