"""Moves the clock of this process, as that of a machine that is wrong by seconds or hours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime as real
from datetime import timedelta, tzinfo

import pytest

from llmrec_qdrant.operations import clock


@contextmanager
def moved(seconds: float) -> Iterator[None]:
    """Within the block, the product reads a clock that is ``seconds`` ahead, and has measured no other one yet."""

    class Moved(real):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> real:  # type: ignore[override]
            return real.now(tz) + timedelta(seconds=seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "datetime", Moved)
        patch.setattr(clock, "_difference", clock.Difference())
        yield
