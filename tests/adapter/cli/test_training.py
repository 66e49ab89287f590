"""``llmrec train``, ``models``, ``reembed``, ``rollback`` and ``clean-up``, one after the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmrec_qdrant.cli import training
from tests.commandline import Llmrec, one_sentence
from tests.trainings import KINDS, VARIANTS, taken


def test_train_teaches_before_it_is_used(run: Llmrec) -> None:
    """What the methods are, what becomes of the space, and what to do next."""
    shown = " ".join(run("train", "--help").out.split())
    for said in (
        "towers",
        "encoder",
        "texts",
        "minutes on a CPU",
        "kept but not offered",
        "llmrec reembed --model",
        "rollback",
    ):
        assert said in shown, said


@pytest.fixture
def shop(llmrec: Llmrec, tmp_path: Path) -> Llmrec:
    """A space with behaviour that can be learnt."""
    items = [{"id": f"i{k}", "title": f"word{k % KINDS} other{k % 5}"} for k in range(KINDS * VARIANTS)]
    events = [
        {"user": f"u{n}", "item": f"i{taken(n, step)}", "type": "view", "ts": 1_700_000_000 + 86_400 * step}
        for n in range(60) for step in range(4)
    ]  # fmt: skip
    for kind, rows in (("items", items), ("events", events)):
        (tmp_path / f"{kind}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        assert llmrec("load", kind, str(tmp_path / f"{kind}.jsonl")).code == 0
    return llmrec


def test_a_training_without_behaviour_fails_with_the_reason(
    llmrec: Llmrec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMREC_MODELS", str(tmp_path / "models"))
    assert "nothing was trained yet" in llmrec("models").out
    assert "train-1 failed: " in one_sentence(llmrec("train"))
    failed = llmrec("train", "--json")
    assert (failed.code, failed.json["state"]) == (1, "failed")


@pytest.mark.slow
def test_train_makes_a_version_that_models_lists_and_reembed_takes(
    shop: Llmrec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMREC_MODELS", str(tmp_path / "models"))
    trained = shop("train", "--epochs", "1", "--users", "60", "--json").json
    assert (trained["state"], trained["result"]["version"]) == ("done", "main-towers-1")
    assert shop("jobs", trained["id"], "--json").json == trained
    (listed,) = shop("models", "--json").json
    assert (listed["name"], listed["live"]) == ("main-towers-1", False)
    assert listed["offered"] is trained["result"]["offered"]
    assert "main-towers-1" in shop("models").out
    before, after = shop("init", "--json").json["config"]["weights"], listed["metrics"]["leg weights"]
    moved = shop("reembed", "--model", "main-towers-1", "--json").json
    assert (moved["state"], moved["result"]["version"]) == ("done", 2)
    assert shop("models", "--json").json[0]["live"] is True
    assert shop("init", "--json").json["config"]["weights"] == after != before
    again = shop("reembed", "--model", "main-towers-1", "--json").json
    assert (again["state"], again["result"]["version"]) == ("done", 2)  # it is live already: nothing is deleted
    assert shop("recommend", "u1", "--json").json
    assert shop("rollback", "--json").json == {"live": 1}
    assert shop("init", "--json").json["config"]["weights"] == before
    assert "version 2, which `llmrec rollback --to 2` switches to" in one_sentence(shop("rollback"))
    assert (
        shop("rollback", "--to", "2", "--json").json == {"live": 2}
        and shop("rollback").out == "version 1 is live now\n"
    )
    assert shop("clean-up").code == 1 and shop("clean-up", "--yes", "--json").json == {"deleted": [2]}
    assert one_sentence(shop("rollback")).endswith("its first version is live")


def test_reembed_to_the_live_settings_says_that_there_is_nothing_to_do(llmrec: Llmrec) -> None:
    assert llmrec("reembed").out == "nothing to do: version 1 already has these settings\n"
    assert llmrec("reembed", "--size", "64").out == "nothing to do: version 1 already has these settings\n"
    assert "there is no earlier version" in one_sentence(llmrec("rollback"))


def test_a_trained_model_that_does_not_exist_is_refused_at_once(
    llmrec: Llmrec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMREC_MODELS", str(tmp_path / "models"))
    line = one_sentence(llmrec("reembed", "--model", "main-towers-7"))
    assert "there is no trained model 'main-towers-7'" in line and "`llmrec models` lists" in line


def test_a_training_ends_with_a_figure(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {
        "at": 10, "users": 30, "fused before": 0.1234, "fused": 0.15, "gain of fused, 95 %": [-0.002, 0.051],
        "verdict": "cannot tell",
    }  # fmt: skip
    training._print({"version": "main-towers-1", "offered": False, "metrics": metrics})
    printed = " ".join(capsys.readouterr().out.split())
    assert "main-towers-1: the held-out users cannot tell whether its lists are better" in printed
    assert (
        "NDCG@10 of the lists .1234 → .1500 on 30 held-out users; the difference is -0.002 to +0.051 (95 %)" in printed
    )
    assert "roll it out" not in printed
