"""Exit codes, errors in one sentence, and the help as a whole."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from llmrec_qdrant import Item, Recommender, SpaceConfig, __version__
from llmrec_qdrant.cli import main
from tests.commandline import CLICKS, FILMS, Llmrec, lines, one_sentence
from tests.services import ROOT


def test_a_dead_qdrant(run: Llmrec) -> None:
    line = one_sentence(run("status", "--url", "http://127.0.0.1:1", "--api-key", "hunter2"))
    assert "Qdrant does not answer at http://127.0.0.1:1 (" in line
    assert "hunter2" not in line


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["llmrec", "status", "--debug"])
    with pytest.raises(Exception, match="no Qdrant is set"):
        main.main()


@pytest.mark.parametrize(
    "args", [["recomend"], ["recommend"], ["recommend", "ann", "--limit", "many"], ["load", "films"]]
)
def test_wrong_usage(run: Llmrec, args: list[str]) -> None:
    ran = run(*args)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, run: Llmrec) -> None:
    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "llmrec_qdrant.cli.app")
    ran = run("status")
    assert ran.code == 2
    assert "pip install 'llmrec-qdrant[cli]'" in ran.err


COMMANDS = [
    ["init"], ["load", "items"], ["load", "events"], ["recommend"], ["similar"], ["similar-users"], ["search"],
    ["status"], ["request"], ["reconcile"], ["forget"], ["delete"], ["demo"], ["top"], ["topics"], ["topics", "fit"],
    ["topics", "rename"], ["topics", "merge"], ["topics", "split"], ["interests"], ["shelves"], ["steer"], ["portrait"], ["blurb"], ["generate"], ["train"], ["tune"], ["reembed"], ["rollback"],
    ["clean-up"], ["jobs"], ["failures"], ["evaluate"], ["models"], ["worker"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example(run: Llmrec, command: list[str]) -> None:
    ran = run(*command, "--help")
    assert ran.code == 0
    plain = re.sub(r"\s+", " ", ran.out)
    assert f"llmrec {' '.join(command)}" in plain
    assert "Example" in plain


def _help_texts(command: list[str]) -> Iterator[str]:
    """The help of a command and of its options, as the source has it."""
    found: Any = typer.main.get_command(main._collect())
    for name in command:
        found = found.commands[name]
    yield found.help or ""
    yield from (getattr(parameter, "help", None) or "" for parameter in found.params)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_keeps_brackets_and_lets_paragraphs_flow(run: Llmrec, command: list[str]) -> None:
    shown = re.sub(r"[\s│]+", "", run(*command, "--help").out)
    for text in _help_texts(command):
        for bracketed in re.findall(r"\[[^\]]*\]", text):
            assert re.sub(r"\s", "", bracketed) in shown
    paragraphs = [" ".join(text.split()) for text in inspect.cleandoc(next(_help_texts(command))).split("\n\n")]
    lines = [line.strip() for line in run(*command, "--help").out.splitlines()]
    for paragraph in paragraphs[1:]:
        first = max((line for line in lines if line and paragraph.startswith(line)), key=len)
        following = paragraph[len(first) :].split()
        assert not following or len(f"{first} {following[0]}") > 76, first


def test_version(run: Llmrec) -> None:
    ran = run("--version")
    assert (ran.code, ran.out) == (0, f"llmrec {__version__}\n")


def test_help_names_the_environment_and_the_exit_codes(run: Llmrec) -> None:
    shown = re.sub(r"\s+", " ", run("--help").out)
    for word in ("LLMREC_QDRANT_URL", "LLMREC_SPACE", "LLMREC_API_KEY", "Exit codes", "llmrec demo"):
        assert word in shown
    assert {one[0] for one in COMMANDS} <= set(re.findall(r"[a-z-]+", shown))


@pytest.mark.slow
def test_as_a_process(tmp_path: Path) -> None:
    """Standard output is the document, whatever libraries print elsewhere."""
    lines(tmp_path / "items.jsonl", FILMS)
    where = ["--path", "data", "--json"]
    for args in (["init", "--model", "hash", "--size", "32"], ["load", "items", "items.jsonl"], ["status"]):
        done = subprocess.run(
            [sys.executable, "-m", "llmrec_qdrant.cli", *args, *where],
            cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)
        assert done.stderr == ""


@pytest.mark.qdrant
def test_on_a_server(run: Llmrec, qdrant_url: str, tmp_path: Path) -> None:
    from tests.spaces import drop, fresh_name

    where = ["--url", qdrant_url, "--space", fresh_name(), "--json"]
    try:
        assert run("init", "--model", "hash", "--size", "32", *where).code == 0
        loaded = run("load", "items", lines(tmp_path / "items.jsonl", FILMS), *where)
        assert loaded.json["status"]["items"] == 4
        assert run("load", "events", lines(tmp_path / "events.jsonl", CLICKS), *where).code == 0
        assert run("recommend", "ann", *where).json[0]["id"] == "m2"
    finally:
        drop(Recommender.connect(qdrant_url, space=where[3]))


HEAVY = {
    "celery",
    "numba",
    "pyarrow",
    "scipy",
    "sentence_transformers",
    "sklearn",
    "sqlalchemy",
    "torch",
    "transformers",
}


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    """Help must appear at once, also with the workers installed."""
    code = (
        "import sys; sys.argv = ['llmrec', 'evaluate', '--help']\n"
        "from llmrec_qdrant.cli.main import main\n"
        "try: main()\n"
        "finally: print(sorted(name for name in sys.modules if '.' not in name), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert "hold out" in done.stdout
    assert not HEAVY & set(ast.literal_eval(done.stderr))


SLOW_IMPORTS = (
    "celery", "datasets", "numba", "pandas", "plotly", "pyarrow", "redis", "scipy", "sentence_transformers", "sklearn",
    "sqlalchemy", "torch", "transformers",
)  # fmt: skip
"""Packages that cost a command tens of milliseconds to seconds; a command that only asks needs none of them."""


@pytest.mark.parametrize("arguments", [["--help"], ["recommend", "u"], ["status"]], ids=" ".join)
def test_commands_that_only_ask_start_light(tmp_path: Path, arguments: list[str]) -> None:
    folder = str(tmp_path / "data")
    with Recommender.connect(path=folder, space="light") as rec:
        rec.create(SpaceConfig(model="hash", size=8))
        rec.upsert_items([Item(id="a", title="one film")])
    program = (
        "import sys; from llmrec_qdrant.cli.main import main\n"
        f"sys.argv = {['llmrec', *arguments]!r}\n"
        "try: main()\nexcept SystemExit as end: assert not end.code, end.code\n"
        f"print('loaded:', *sorted(set(sys.modules) & set({SLOW_IMPORTS!r})))"
    )
    own = {name: value for name, value in os.environ.items() if not name.startswith("LLMREC_")}
    environment = own | {"LLMREC_PATH": folder, "LLMREC_SPACE": "light"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().splitlines()[-1] == "loaded:"
