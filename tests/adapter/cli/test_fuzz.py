"""Hundreds of odd command lines: each ends with a documented exit code, and a sentence instead of a traceback."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest

from tests.commandline import Llmrec, commands

CODES = {0, 1, 2, 3}
"""Exit codes that `llmrec --help` names, but for an interruption."""

SLOW = {("worker",), ("demo",), ("train",), ("tune",), ("evaluate",), ("push",), ("pull",)}
"""Commands that start services, train, or measure: only their words are tried."""

ODD = [
    "", " ", "-", "--", "0", "-1", "1e9", "99999999999999999999", "nan", "inf", "1.5", "true", "null", "[]", "{}", '{"a": ', "a=b=c", "=", "=1",
    "x:y:z", ":", "year:", ":integer", "year:nope", "\u202ebidi", "\x1b[31mred", "a\tb", "é" * 300, "x" * 5_000, "../../etc/passwd", "/", ".", "~",
    "nowhere.csv", "broken.jsonl", "empty.csv", "folder", "http://", "http://localhost:1", "redis://", "postgresql://x", "sqlite:///nowhere.db",
    "*", "'", '"', "$(id)", "`id`", "%s%n", "{0}", "\\", "ann", "m1", "year>=x", "year<>", "lang=", "!lang", "dense=-1", "dense=x", "nope=1",
    "中文", "１", "😀", "%Y", "utf-99", "Nowhere/Zone", ",", ";", "a,b", '"a', "1,2",
]  # fmt: skip
"""Values of arguments and options."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def options(command: Any) -> list[str]:
    """Return the options of a command, but for those that end it at once."""
    names = [name for one in command.params for name in getattr(one, "opts", []) if name.startswith("--")]
    return [
        name
        for name in names
        if name not in {"--help", "--url", "--broker", "--path", "--debug", "--install-completion"}
    ]


ALL = [(words, command) for words, command in commands() if words not in SLOW]


def odd_line(chance: random.Random) -> list[str]:
    """Return the words of one odd call."""
    words, command = chance.choice(ALL)
    known = [*options(command), "--space", "--tenant", "--api-key", "--json", "--nope"]
    line = [*words, *(chance.choice(ODD) for _ in range(chance.choice((0, 1, 1, 2, 3))))]
    for _ in range(chance.choice((0, 1, 1, 2))):
        place = chance.randrange(len(words), len(line) + 1)
        line[place:place] = [chance.choice(known), chance.choice(ODD)]
    return line


def test_the_commands_are_those_of_the_help() -> None:
    assert len(ALL) >= 25 and {words[0] for words, _ in ALL} >= {
        "init",
        "load",
        "recommend",
        "items",
        "events",
        "topics",
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_odd_command_lines(filled: Llmrec, tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_text('{"id": "a"}\n{"id": \n')
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "folder").mkdir()
    chance = random.Random(11)
    codes: dict[int, int] = {}
    for _ in range(320):
        line = odd_line(chance)
        ran = filled(*line, stdin="")
        codes[ran.code] = codes.get(ran.code, 0) + 1
        assert ran.code in CODES, (line, ran.err[-300:])
        told = ran.out + ran.err
        assert "Traceback" not in told, (line, told[-500:])
        assert not _CONTROL.search(told), (line, _CONTROL.search(told))
        assert ran.code == 0 or ran.err.strip() or ran.code == 3, line
    assert codes[2] > 30 and codes[1] > 30 and codes[0] > 10, codes
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(("celerybeat", "core"))) == []
    assert filled("status", "--json").code == 0
