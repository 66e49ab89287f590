"""``llmrec generate``: what it says was written, asked for, refused, or not known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llmrec_qdrant import Recommender
from tests.commandline import Llmrec, one_sentence
from tests.endpoint import honest, scripted
from tests.worker.generate.test_generate import fill

USERS = 2
TEXTS = 8
"""A portrait and three blurbs for each user of the space."""


@pytest.fixture
def written(run: Llmrec) -> Iterator[Llmrec]:
    """``llmrec`` on a folder with two users who have interests."""
    with Recommender.connect(path="data", space="main") as made:
        fill(made)
    yield lambda *args, **more: run(*args, "--path", "data", **more)


def test_a_dry_run_asks_nobody_and_knows_no_price_that_is_not_set(
    written: Llmrec, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = written("generate", "--dry-run").out
    assert said.startswith(f"{USERS} users: {TEXTS} requests, about ")
    assert said.endswith("cost unknown without LLMREC_LLM_PRICE; nobody was asked (--dry-run)\n")
    assert f"dry run: {TEXTS} requests, nobody was asked" in written("jobs").out
    monkeypatch.setenv("LLMREC_LLM_PRICE", "2.5")
    assert ", cost 0.0" in written("generate", "--dry-run").out
    assert "counted up to --max-tokens" in written("generate", "--dry-run", "--max-tokens", "500").out


def test_requests_without_an_answer_are_told_from_refused_texts(
    written: Llmrec, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def sometimes(system: str, document: dict[str, Any]) -> str | None:
        asked.append(system)
        if len(asked) == 1:
            return None
        return "It costs 5 dollars!" if len(asked) == 2 else honest(system, document)

    with scripted(monkeypatch, sometimes):
        said = written("generate").out.splitlines()
        assert said[0].startswith(f"{TEXTS - 2} texts written, 1 refused, 0 still current: {TEXTS} requests")
        assert said[1] == "1 request failed: run the command again to write these texts"
        again = written("generate").out.splitlines()
    assert again[0].startswith(f"1 text written, 0 refused, {TEXTS - 1} still current: 1 request,")  # nor a refusal
    assert len(again) == 1


def test_why_nothing_can_be_written(written: Llmrec, monkeypatch: pytest.MonkeyPatch) -> None:
    unset = (
        "error: generate-1 failed: no language model is set: set LLMREC_LLM_URL and LLMREC_LLM_MODEL in the environment"
    )
    assert one_sentence(written("generate")).startswith(unset)
    monkeypatch.setenv("LLMREC_LLM_URL", "localhost:11434")
    assert "set: set LLMREC_LLM_MODEL in the env" in one_sentence(written("generate"))
    monkeypatch.setenv("LLMREC_LLM_MODEL", "m")
    assert "LLMREC_LLM_URL must begin with http:// or https://" in one_sentence(written("generate"))


def test_users_without_interests_are_said_to_have_none(filled: Llmrec) -> None:
    assert filled("generate", "--dry-run").out.splitlines()[1].startswith("nobody has interests to write about")
