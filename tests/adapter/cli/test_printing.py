"""Tables for people."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.text import Text

from llmrec_qdrant.cli.printing import out
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


HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\x7f\u202eevil\r"


@pytest.mark.parametrize(
    "command", [["search", "word"], ["top"], ["similar", "m2"], ["load", "items", "x.csv", "--dry-run"]]
)
def test_data_cannot_control_the_terminal(llmrec: Llmrec, tmp_path: Path, command: list[str]) -> None:
    rows = [
        {"id": f"m{k}", "title": f"word {HOSTILE} {k}", "text": "word", "year": 2000 + k, "tag": HOSTILE}
        for k in range(3)
    ]
    llmrec("load", "items", lines(tmp_path / "x.jsonl", rows))
    (tmp_path / "x.csv").write_bytes(b"id,title\n1,\x1b[2Jword\x7f\xc2\x9b\n")
    for options in ([], ["--json"]):
        ran = llmrec(*command, *options)
        assert "word" in ran.out
        assert not [c for c in ran.out + ran.err if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160 or c == "\u202e")]


def test_errors_cannot_control_the_terminal(llmrec: Llmrec, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"a\x1b[2J,b\n1,2\n")
    ran = llmrec("load", "items", str(tmp_path / "x.csv"))
    assert "\x1b" not in one_sentence(ran)
    (tmp_path / "x.csv").write_bytes(b"id,year\n1,\x1b[2J\x9b\n")
    ran = llmrec("load", "items", str(tmp_path / "x.csv"))
    assert ran.code == 3 and "\x1b" not in ran.out + ran.err


def test_styles_still_reach_a_terminal() -> None:
    console = type(out)(force_terminal=True, color_system="standard", highlight=False, file=io.StringIO())
    console.print(Text("\x1b[2Jbad", style="red"))
    assert console.file.getvalue() == "\x1b[31m�[2Jbad\x1b[0m\n"  # type: ignore[attr-defined]
