"""``llmrec train``, ``models`` and ``reembed``, one after the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commandline import Llmrec


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


@pytest.mark.slow
def test_train_makes_a_version_that_models_lists_and_reembed_takes(
    llmrec: Llmrec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMREC_MODELS", str(tmp_path / "models"))
    assert "nothing was trained yet" in llmrec("models").out
    assert "takes 40 or more" in llmrec("train").out
    items = [{"id": f"i{k}", "title": f"word{k} other{k % 5}"} for k in range(40)]
    events = [
        {"user": f"u{n}", "item": f"i{(n + 7 * step) % 40}", "type": "view", "ts": 1_700_000_000 + 86_400 * step}
        for n in range(60) for step in range(4)
    ]  # fmt: skip
    for kind, rows in (("items", items), ("events", events)):
        (tmp_path / f"{kind}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        assert llmrec("load", kind, str(tmp_path / f"{kind}.jsonl")).code == 0
    job = llmrec("train", "--epochs", "1", "--users", "60", "--json").json
    assert (job["stage"], job["version"]) == ("done", "main-towers-1")
    assert llmrec("train", "--status", "--json").json == job
    (listed,) = llmrec("models", "--json").json
    assert listed["name"] == "main-towers-1" and listed["offered"] is True and listed["live"] is False
    assert "main-towers-1" in llmrec("models").out
    assert llmrec("reembed", "--model", "main-towers-1", "--json").json["state"] == "live"
    assert llmrec("models", "--json").json[0]["live"] is True
    before, after = (listed["metrics"][name] for name in ("leg weights before", "leg weights"))
    assert llmrec("init", "--json").json["config"]["weights"] == after != before
    again = llmrec("reembed", "--model", "main-towers-1", "--json").json
    assert again["version"] == 2  # it is there: nothing is deleted
    assert llmrec("recommend", "u1", "--json").json
    assert llmrec("rollback").code == 0
    assert llmrec("init", "--json").json["config"]["weights"] == before
