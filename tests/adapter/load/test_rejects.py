"""The list of refused rows: what it holds, what it never overwrites, and loading it again once it is mended."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from llmrec_qdrant import InvalidInput, Recommender
from llmrec_qdrant.load.loader import How, load
from llmrec_qdrant.load.recipe import Recipe
from llmrec_qdrant.load.rejects import listed
from llmrec_qdrant.load.sources import Source
from tests.loading import as_jsonl, events, item, load_text, own_fields, rejects, written

LONG = "x" * 3_000


def mend(path: Path, **values: Any) -> Path:
    """Change the inputs of all refused rows."""
    records = rejects(path)
    for record in records:
        record["input"].update(values)
    path.write_text(as_jsonl(records))
    return path


def test_a_refused_row_is_listed_whole_and_loads_when_it_is_mended(rec: Recommender, tmp_path: Path) -> None:
    text = f'movieId,title,text,year,code\n7,"He said ""no"", twice",{LONG},soon,007\n8,Fine,,1999,1\n'
    recipe = How(Recipe(rename={"movieId": "id"}))
    _, (refused,) = load_text(rec, tmp_path, text, "x.csv", how=recipe)
    assert refused["input"] == {
        "movieId": "7",
        "title": 'He said "no", twice',
        "text": LONG,
        "year": "soon",
        "code": "007",
    }
    assert (refused["line"], "'year'" in refused["reason"]) == (2, True)
    result = load(rec, Source(str(mend(tmp_path / "refused.jsonl", year="2001"))), "items", how=recipe)
    assert (result.written, result.rejected) == (1, 0)
    assert own_fields(rec, "7") == {"year": 2001, "code": "007"}  # cells are read as in the table
    assert (item(rec, "7") or {})["text"] == LONG


def test_lines_that_could_not_be_read_are_kept_as_they_are(rec: Recommender, tmp_path: Path) -> None:
    _, refused = load_text(rec, tmp_path, 'id,title\n1,"a, b",c\n2,ok\n', "x.csv")
    assert (refused[0]["input"], refused[0]["columns"]) == (["1", "a, b", "c"], ["id", "title"])
    again = load(rec, Source(str(tmp_path / "refused.jsonl")), "items", rejects=tmp_path / "again.jsonl")
    assert (again.written, again.rejected) == (0, 1)
    assert "write an object" in rejects(tmp_path / "again.jsonl")[0]["reason"]
    (tmp_path / "refused.jsonl").write_text(json.dumps({**refused[0], "input": ["1", "a, b, c"]}) + "\n")
    assert load(rec, Source(str(tmp_path / "refused.jsonl")), "items").written == 1
    assert (item(rec, "1") or {})["title"] == "a, b, c"


def test_mended_events_without_times_are_those_of_their_file(rec: Recommender, tmp_path: Path) -> None:
    good = "user,type,item\nu,view,a\nv,view,b\nw,view,c\n"
    load_text(rec, tmp_path, good.replace("v,view", "v,?"), "x.csv", kind="events")
    assert load(rec, Source(str(mend(tmp_path / "refused.jsonl", type="view"))), "events").written == 1
    stored = events(rec)
    load_text(rec, tmp_path, good, "x.csv", kind="events")
    assert events(rec) == stored  # nothing is counted twice


def test_a_row_of_several_events_is_listed_once(rec: Recommender, tmp_path: Path) -> None:
    text = "1\tU1\t5/1/2024 8:55:22 AM\tN1 " + "N" * 300 + " N2\t\n"
    result, refused = load_text(rec, tmp_path, text, "x.tsv", kind="events", how=How(format="mind"))
    assert (result.written, result.rejected, len(refused)) == (2, 1, 1)


@pytest.mark.parametrize("content", [b"mine\n", b"id,title\n", b'{"id": 1}\n', b"{}\n", b"\x00\x01"])
def test_a_foreign_file_is_never_overwritten(rec: Recommender, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "refused.jsonl").write_bytes(content)
    with pytest.raises(InvalidInput, match="is not overwritten"):
        load_text(rec, tmp_path, "bad\n")
    assert (tmp_path / "refused.jsonl").read_bytes() == content


def test_the_source_is_never_overwritten_nor_what_a_link_points_to(rec: Recommender, tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", '{"line": 1, "reason": "x", "input": {"id": 1, "title": "a"}}\n')
    os.link(path, tmp_path / "hard.jsonl")
    for target in (path, tmp_path / "." / "x.jsonl", tmp_path / "hard.jsonl"):
        with pytest.raises(InvalidInput, match="is the file that is loaded"):
            load(rec, Source(str(path)), "items", rejects=target)
    (tmp_path / "soft.jsonl").symlink_to(tmp_path / "elsewhere.txt")
    with pytest.raises(InvalidInput, match="symbolic link"):
        load(rec, Source(str(path)), "items", rejects=tmp_path / "soft.jsonl")
    assert not (tmp_path / "elsewhere.txt").exists()
    with pytest.raises(InvalidInput, match="not overwritten"):
        load(rec, Source(str(path)), "items", rejects=tmp_path)


def test_a_list_of_an_earlier_load_is_set_aside(rec: Recommender, tmp_path: Path) -> None:
    """It may have been mended since."""
    path, aside = tmp_path / "refused.jsonl", tmp_path / "refused.jsonl.bak"
    for text, lines in (("bad\nworse\n", [1, 2]), ('{"id": 1}\nbad\n', [2])):
        assert [one["line"] for one in load_text(rec, tmp_path, text)[1]] == lines
    assert [one["line"] for one in rejects(aside)] == [1, 2]
    load_text(rec, tmp_path, '{"id": 1}\n')
    assert not path.exists()
    assert [one["line"] for one in rejects(aside)] == [2]
    aside.write_text("mine\n")
    with pytest.raises(InvalidInput, match="not overwritten"):
        load_text(rec, tmp_path, "bad\n")
    assert aside.read_text() == "mine\n"


def test_reasons_are_grouped(rec: Recommender, tmp_path: Path) -> None:
    rows = (
        "".join(f"u,view,i,2024-{month}-01\n" for month in (13, 14, 15, 5))
        + "u,View It,i,2024-05-01\n,view,i,2024-05-01\n"
    )
    result, _ = load_text(rec, tmp_path, "user,type,item,ts\n" + rows, "x.csv", kind="events")
    assert [(group.count, group.line) for group in result.reasons] == [(3, 2), (1, 6), (1, 7)]
    sentences = list(listed(result.reasons, most=1))
    assert sentences[0].startswith("3 × Event: 'ts': '2024-13-01' is no time") and sentences[0].endswith(
        "(first in line 2)"
    )
    assert sentences[1] == "2 more for 2 other reasons"
