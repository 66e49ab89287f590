"""``llmrec`` in tests: run in this process, on an embedded Qdrant with a few films."""

from __future__ import annotations

import io
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("typer")

import typer

from llmrec_qdrant.cli import main

FILMS = [
    {"id": "m1", "title": "Interstellar", "text": "astronauts cross a wormhole", "year": 2014, "lang": "en"},
    {"id": "m2", "title": "The Martian", "text": "an astronaut stranded on planet Mars", "year": 2015, "lang": "en"},
    {"id": "m3", "title": "Chef", "text": "a cook opens a food truck", "year": 2014, "lang": "en"},
    {"id": "m4", "title": "流浪地球", "text": "科幻电影：人类推动地球离开太阳系", "year": 2019, "lang": "zh"},
]
CLICKS = [
    {"user": "ann", "item": "m1", "type": "like", "ts": 1_700_000_000},
    {"user": "ann", "type": "search", "text": "astronaut on Mars", "ts": 1_700_000_100},
    {"user": "bob", "item": "m1", "type": "view", "ts": 1_700_000_000},
    {"user": "bob", "item": "m2", "type": "view", "ts": 1_700_000_200},
]


@dataclass
class Ran:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


Llmrec = Callable[..., Ran]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("QDRANT_URL", "PATH", "SPACE", "BROKER", "API_KEY", "TENANT"):
        monkeypatch.delenv(f"LLMREC_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Llmrec:
    """``llmrec`` in this process: a new process costs a second each time."""

    def call(*args: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "argv", ["llmrec", *args])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            with pytest.raises(SystemExit) as left:
                main.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Ran(int(left.value.code or 0), out, err)

    return call


@pytest.fixture
def llmrec(run: Llmrec, tmp_path: Path) -> Llmrec:
    """``llmrec`` on an embedded Qdrant with a space named main."""
    where = ["--path", str(tmp_path / "data")]
    config = tmp_path / "space.json"
    config.write_text(json.dumps({"model": "hash", "size": 64, "fields": {"year": "integer"}}))
    made = run("init", *where, "--config", str(config), "--field", "lang:keyword", "--json")
    assert made.code == 0, made.err
    return lambda *args, **more: run(*args, *where, **more)


@pytest.fixture
def filled(llmrec: Llmrec, tmp_path: Path) -> Llmrec:
    assert llmrec("load", "items", lines(tmp_path / "items.jsonl", FILMS)).code == 0
    assert llmrec("load", "events", lines(tmp_path / "events.jsonl", CLICKS)).code == 0
    return llmrec


def commands(group: Any = None, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command with its words, as the application itself knows them."""
    group = group or typer.main.get_command(main._collect())
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from commands(command, (*before, name))
            if command.invoke_without_command:
                yield (*before, name), command
        else:
            yield (*before, name), command


def lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def one_sentence(ran: Ran, code: int = 1) -> str:
    """The only line on standard error, with nothing on standard output."""
    assert ran.code == code, ran.err
    assert ran.out == ""
    (line,) = ran.err.strip().splitlines()
    return line
