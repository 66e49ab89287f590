"""Tables for people."""

from __future__ import annotations

from pathlib import Path

from tests.commandline import Llmrec, lines, one_sentence


def test_names_are_shown_as_they_are(llmrec: Llmrec, tmp_path: Path) -> None:
    """Square brackets are markup to the library that draws the tables."""
    rows = [{"id": "[/red]", "title": "[bold]Heat[/nope]"}, {"id": "x", "title": "[red]"}]
    llmrec("load", "items", lines(tmp_path / "[a].jsonl", rows))
    llmrec("load", "events", "-", stdin='{"user": "[/u]", "type": "view", "item": "x"}\n')
    for ran in (llmrec("recommend", "[/u]"), llmrec("recommend", "[/stranger]"), llmrec("search", "[/heat]")):
        assert ran.code == 0, ran.err
    assert "[bold]Heat[/nope]" in llmrec("recommend", "[/u]").out
    assert "[/red]" in llmrec("recommend", "[/u]").out
    assert "[/nope]" in one_sentence(llmrec("similar", "[/nope]"))
