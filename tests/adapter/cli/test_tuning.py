"""``llmrec tune``."""

from __future__ import annotations

from tests.commandline import Llmrec, one_sentence


def test_tune_says_how_many_users_it_takes(filled: Llmrec) -> None:
    assert "takes 40 or more" in one_sentence(filled("tune"))
    assert filled("tune", "--users", "39").code == 2
