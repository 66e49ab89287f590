"""The shared options: which Qdrant, which space, and how the answer is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commandline import Llmrec, one_sentence


def test_no_address(run: Llmrec) -> None:
    line = one_sentence(run("status"))
    assert "--url" in line and "LLMREC_QDRANT_URL" in line and "--path" in line


def test_both_addresses(run: Llmrec, tmp_path: Path) -> None:
    refused = one_sentence(run("init", "--url", "http://localhost:1", "--path", str(tmp_path)))
    assert (
        "are named: leave one of them out (url=, --url or LLMREC_QDRANT_URL; path=, --path or LLMREC_PATH)" in refused
    )


def test_a_folder_that_is_not_there_is_not_made(run: Llmrec, tmp_path: Path) -> None:
    assert "no folder" in one_sentence(run("status", "--path", str(tmp_path / "typo")))
    (tmp_path / "file").write_text("")
    assert "is a file: --path names the folder" in one_sentence(run("status", "--path", str(tmp_path / "file")))
    assert not (tmp_path / "typo").exists()


def test_a_space_that_is_not_there(llmrec: Llmrec) -> None:
    assert "llmrec init --space shop" in one_sentence(llmrec("status", "--space", "shop"))
    assert "space name" in one_sentence(llmrec("status", "--space", "a/b"))


def test_the_environment_names_it_and_options_come_first(
    llmrec: Llmrec, run: Llmrec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LLMREC_PATH", str(tmp_path / "data"))
    assert run("status", "--json").json["space"] == "main"
    monkeypatch.setenv("LLMREC_SPACE", "shop")
    assert "'shop'" in one_sentence(run("status"))
    assert run("status", "--space", "main").code == 0
    monkeypatch.setenv("LLMREC_QDRANT_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("LLMREC_PATH")
    assert llmrec("status", "--space", "main").code == 0  # --path replaces the server of the environment


def test_not_a_url(run: Llmrec) -> None:
    assert "http://" in one_sentence(run("status", "--url", "localhost:6333"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["recommend", "ann", "--json"],
        ["--json", "recommend", "ann"],
        ["--space", "nowhere", "recommend", "ann", "--space", "main", "--json"],  # the later one counts
    ],
)
def test_shared_options_stand_before_or_after_the_command(
    filled: Llmrec, run: Llmrec, tmp_path: Path, arguments: list[str]
) -> None:
    expected = filled("recommend", "ann", "--json").json
    assert run("--path", str(tmp_path / "data"), *arguments).json == expected
    assert filled(*arguments).json == expected


def test_shared_options_stand_anywhere_around_a_group(filled: Llmrec, run: Llmrec, tmp_path: Path) -> None:
    where = ["--path", str(tmp_path / "data"), "--json"]
    for arguments in (
        [*where, "topics", "rename", "7", "space"],
        ["topics", *where, "rename", "7", "space"],
        ["topics", "rename", *where, "7", "space"],
        ["topics", "rename", "7", "space", *where],
    ):
        assert "has no topic '7'" in one_sentence(run(*arguments))
    assert run("topics", *where).json == []


@pytest.mark.parametrize("command", [["status"], ["load", "items"], ["topics"], ["topics", "fit"], ["recommend"]])
def test_help_shows_the_shared_options_in_panels_of_their_own(run: Llmrec, command: list[str]) -> None:
    shown = run(*command, "--help").out
    connection, output = shown.index("─ Connection ─"), shown.index("─ Output ─")
    assert connection < shown.index("--broker") < output < shown.index("--json")
    assert shown.count("--tenant") == 1
