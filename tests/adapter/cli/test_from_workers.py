"""Commands of the workers, where these are not installed."""

from __future__ import annotations

import re

import pytest
import typer

from llmrec_qdrant.cli import from_workers
from llmrec_qdrant.cli.app import CommandSet
from llmrec_qdrant.cli.from_workers import WORKER_COMMANDS, register
from llmrec_qdrant.errors import MissingDependency
from llmrec_qdrant.queues.inline import worker_module


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> CommandSet:
    """The commands of a wheel without the workers."""
    monkeypatch.setattr(from_workers, "inline_available", lambda: False)
    app = CommandSet()
    app.callback()(lambda: None)
    register(app)
    return app


@pytest.mark.parametrize("name", WORKER_COMMANDS)
def test_each_says_what_to_install(bare: CommandSet, name: str) -> None:
    for arguments in ([name], [name, "--users", "7", "more"]):
        with pytest.raises(MissingDependency, match=r"pip install 'llmrec-qdrant\[workers\]'"):
            bare(arguments, standalone_mode=False)


def test_help_lists_them_with_the_note(bare: CommandSet, capsys: pytest.CaptureFixture[str]) -> None:
    bare(["--help"], standalone_mode=False)
    shown = re.sub(r"[\s│]+", " ", capsys.readouterr().out)
    for name, summary in WORKER_COMMANDS.items():
        assert f"{name} {summary.rstrip('.')}" in shown
    assert shown.count("pip install 'llmrec-qdrant[workers]'") == len(WORKER_COMMANDS)


def test_the_workers_bring_exactly_these() -> None:
    app = CommandSet()
    worker_module("cli").register(app)
    assert {command.name or command.callback.__name__ for command in app.registered_commands} == set(WORKER_COMMANDS)
    assert isinstance(app, typer.Typer)
