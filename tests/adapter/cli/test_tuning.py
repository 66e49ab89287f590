"""``llmrec tune``."""

from __future__ import annotations

import pytest

from llmrec_qdrant.cli import tuning
from tests.commandline import Llmrec, one_sentence


def test_a_tuning_shows_what_each_setting_adds(capsys: pytest.CaptureFixture[str]) -> None:
    steps = [
        {"name": "half_life_days", "value": 30.0, "gain": -0.0001, "low": -0.001, "high": 0.001, "kept": False},
        {
            "name": "weights",
            "value": {"dense": 2.0, "collab": 4.0},
            "gain": 0.012,
            "low": 0.003,
            "high": 0.02,
            "kept": True,
        },
    ]
    measured = {"before": 0.1, "after": 0.11, "low": 0.002, "high": 0.018, "p": 0.01, "stored": True, "better": True}
    tuning._print({"limit": 10, "tried": 61, "chosen_on": 400, "confirmed_on": 400, "steps": steps, **measured})
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "61 configurations tried on 400 users"
    weights, half_life = (next(line for line in lines if name in line) for name in ("weights", "half_life_days"))
    assert "dense 2, collab 4 +0.0120 +0.0030 to +0.0200 ████████████████████" in weights
    assert "30 -0.0001" in half_life and "put back" in half_life
    assert lines.index(weights) < lines.index(half_life) and lines[-1].startswith("stored with the space: the gain")


def test_tune_says_how_many_users_it_takes(filled: Llmrec, caplog: pytest.LogCaptureFixture) -> None:
    assert "tune-1 failed: space 'main' has 1 user who took two items" in one_sentence(filled("tune"))
    assert "failed" not in caplog.text  # the error says so already
    assert filled("jobs", "tune-1", "--json").json["state"] == "failed"
    assert filled("tune", "--users", "39").code == 2


RESULT = {
    "limit": 10, "tried": 1, "chosen_on": 20, "steps": [], "confirmed_on": 20, "before": 0.2, "after": 0.3, "low": -0.01, "high": 0.2, "p": 0.2,
}  # fmt: skip


@pytest.mark.parametrize(
    ("better", "stored", "last"),
    [
        (True, True, "stored with the space: the gain is larger than its standard error"),
        (True, False, "nothing stored (--dry-run): the gain is larger than its standard error"),
        (False, False, "the gain on held-out users is no larger than its standard error: the space keeps its settings"),
    ],
)
def test_the_last_sentence_says_by_which_rule(
    capsys: pytest.CaptureFixture[str], better: bool, stored: bool, last: str
) -> None:
    """The interval may include 0, and settings be stored all the same: the rule is one standard error."""
    tuning._print({**RESULT, "better": better, "stored": stored})
    assert capsys.readouterr().out.splitlines()[-1].startswith(last)
