"""A process that has an embedded Qdrant open dies of SIGKILL in the middle of a load, a fit of topics and a re-embedding."""

from __future__ import annotations

import pytest

from benchmarks import embedded_chaos


def test_nothing_acknowledged_is_lost_and_work_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    """The first blows of the plan: while encoding, before and after the alias switch."""
    code = embedded_chaos.run(items=64, kills=4, seed=3)
    out = capfd.readouterr().out
    assert code == 0 and "alias switch replaced 1x" in out, out
