"""``llmrec tune``."""

from __future__ import annotations

import pytest

from tests.commandline import Llmrec, one_sentence


def test_tune_says_how_many_users_it_takes(filled: Llmrec, caplog: pytest.LogCaptureFixture) -> None:
    assert "tune-1 failed: space 'main' has 1 user who took two items" in one_sentence(filled("tune"))
    assert "failed" not in caplog.text  # the error says so already
    assert filled("jobs", "tune-1", "--json").json["state"] == "failed"
    assert filled("tune", "--users", "39").code == 2
