"""``llmrec demo``, the first thing that people see."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commandline import Llmrec
from tests.services import ROOT


@pytest.mark.model
@pytest.mark.slow
def test_the_demo(run: Llmrec, tmp_path: Path) -> None:
    if not (ROOT / "examples" / "items.jsonl").is_file():
        pytest.skip("the sample data is not in this checkout")
    ran = run("demo", "--folder", str(tmp_path / "demo"))
    assert ran.code == 0, ran.err
    assert max(len(line) for line in ran.out.splitlines()) <= 100
    for words in ("strongest words", "similar items", "search", "Popular", "llmrec init --url"):
        assert words in ran.out
