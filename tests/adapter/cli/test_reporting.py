"""``llmrec report``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commandline import FILMS, Llmrec, one_sentence


def test_the_report_is_a_file_with_every_title(filled: Llmrec, tmp_path: Path) -> None:
    out = tmp_path / "films.html"
    done = filled("report", "--out", str(out), "--json")
    assert done.json == {"out": str(out), "bytes": out.stat().st_size}
    content = out.read_text(encoding="utf-8")
    for film in FILMS:
        assert film["title"].encode("ascii", "backslashreplace").decode() in content


@pytest.mark.parametrize("content", ["{", "[]", '{"rows": []}'])
def test_a_file_that_is_no_evaluation_is_refused_and_nothing_is_written(
    filled: Llmrec, tmp_path: Path, content: str
) -> None:
    wrong = tmp_path / "evaluation.json"
    wrong.write_text(content)
    done = filled("report", "--evaluation", str(wrong), "--out", str(tmp_path / "x.html"))
    assert one_sentence(done).startswith("error: ")
    assert not (tmp_path / "x.html").exists()


def test_only_a_report_is_overwritten(filled: Llmrec, tmp_path: Path) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("<!DOCTYPE html><title>My page</title>")
    assert "exists and is no report, so it is not overwritten" in one_sentence(filled("report", "--out", str(mine)))
    assert mine.read_text().endswith("My page</title>")
    mine.write_text("")
    first = filled("report", "--out", str(mine), "--json").json["bytes"]
    assert filled("report", "--out", str(mine), "--json").json["bytes"] > 0.9 * first
    assert "is a folder: name a file" in one_sentence(filled("report", "--out", str(tmp_path)))


def test_a_folder_that_does_not_exist_is_said_in_a_sentence(filled: Llmrec, tmp_path: Path) -> None:
    assert f"there is no folder {str(tmp_path / 'nowhere')!r}" in one_sentence(
        filled("report", "--out", str(tmp_path / "nowhere" / "x.html"))
    )
