"""JSON lines and CSV that are broken in one place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmrec_qdrant import InvalidInput, Recommender
from llmrec_qdrant.load import json_files, tables
from llmrec_qdrant.load.sources import Source
from tests.loading import (
    FILMS,
    as_jsonl,
    entities,
    item,
    load_text,
    written,
)


def test_bad_lines_are_named_and_the_others_stored(rec: Recommender, tmp_path: Path) -> None:
    lines = [
        '{"id": "good1", "title": "caf\u00e9"}'.encode(),
        b'{"id": "cut off',
        b"",
        b'{"id": "latin \xe9"}',
        b"[1, 2]",
        b'{"title": "no id"}',
        b'{"id": "taken", "topics": true}',
        b'{"id": "infinite", "n": NaN}',
        b'{"id": "surrogate", "n": "\\ud800"}',
        b'{"id": "good2"}',
    ]
    result, refused = load_text(rec, tmp_path, b"\n".join(lines))
    assert (result.written, result.rejected) == (2, 7)
    assert item(rec, "good1") and item(rec, "good2")
    assert [one["line"] for one in refused] == [2, 4, 5, 6, 7, 8, 9]
    reasons = {one["line"]: one["reason"] for one in refused}
    assert "not JSON" in reasons[2]
    assert "UTF-8" in reasons[4]
    assert "expected an object" in reasons[5]
    assert "'id'" in reasons[6]
    assert "'topics'" in reasons[7] and "rename" in reasons[7]
    assert "finite" in reasons[8]
    assert refused[0]["input"] == '{"id": "cut off'
    assert refused[1]["input"] == '{"id": "latin �"}'


def test_lines_of_a_table_are_where_a_record_begins(rec: Recommender, tmp_path: Path) -> None:
    text = b'id,title\r\n\xc3\xa9,"one\r\ntwo\r\nthree"\r\nb,too,many\r\n,"no\r\nid"\r\nc,caf\xe9\r\nd,good\r\n'
    result, refused = load_text(rec, tmp_path, text, "rows.csv")
    assert result.written == 2
    assert [one["line"] for one in refused] == [5, 6, 8]
    assert "3 cells" in refused[0]["reason"] and "2" in refused[0]["reason"]
    assert "UTF-8" in refused[2]["reason"]
    assert (item(rec, "é") or {})["title"] == "one\r\ntwo\r\nthree"


def test_a_quote_that_never_ends_costs_its_cell_only(
    rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_CELL_CHARACTERS", 1_000)
    rows = "".join(f"m{k},plain\n" for k in range(400))
    result, refused = load_text(rec, tmp_path, 'id,title\nbad,"never ends\n' + rows, "rows.csv")
    assert result.rejected >= 1
    assert refused[0]["line"] == 2
    assert "quote" in refused[0]["reason"]
    assert item(rec, "m399")


def test_a_line_of_20_megabytes(rec: Recommender, tmp_path: Path) -> None:
    text = '{"id": "long", "text": "' + "x" * 20_000_000 + '"}\n{"id": "next"}\n'
    result, refused = load_text(rec, tmp_path, text)
    assert (result.written, result.rejected) == (1, 1)
    assert item(rec, "next")
    assert refused[0]["line"] == 1
    assert "1,000,000 characters" in refused[0]["reason"]
    assert len(refused[0]["input"]) <= 1_000


def test_a_line_without_end_is_not_held_in_memory(
    rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_files, "MAX_LINE_BYTES", 1_000)
    result, refused = load_text(rec, tmp_path, '{"id": "' + "x" * 5_000 + '"}\n{"id": "next"}\n')
    assert (result.written, [one["line"] for one in refused]) == (1, [1])
    assert "1,000 bytes" in refused[0]["reason"]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("rows.jsonl", "", "is empty"), ("rows.csv", "", "is empty"), ("rows.csv", "\ufeff", "is empty"), ("rows.json", " \n", "is empty"),
        ("rows.csv", "id,title\n", "no rows below its header"), ("rows.json", "[]", "no rows"), ("rows.jsonl", "\n\n", "is empty"),
    ],
)  # fmt: skip
def test_a_file_without_rows_is_refused(rec: Recommender, tmp_path: Path, name: str, text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        load_text(rec, tmp_path, text, name)


def test_rows_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    """Ten million events do not fit into memory."""
    path = tmp_path / "rows.jsonl"
    path.write_text(as_jsonl(FILMS) + "not JSON\n")
    rows = Source(str(path)).rows()
    assert next(rows).data["id"] == "m1"
    rows.close()  # type: ignore[attr-defined]
    assert [row.at for row in Source(str(path)).rows()][-1] == path.stat().st_size


KEYED = {"a": {"title": "A"}, 'b"\u00fc': {"title": "B", "cast": [{"name": "x"}]}, "7": {"title": "C", "id": "own"}}


@pytest.mark.parametrize("indent", [None, 2])
def test_rows_may_lie_under_their_ids(tmp_path: Path, indent: int | None) -> None:
    path = written(tmp_path / "x.json", json.dumps(KEYED, indent=indent))
    read, reasons, _ = entities(path, "items")
    assert [(item.id, item.title) for item in read] == [("a", "A"), ('b"\u00fc', "B"), ("own", "C")]
    assert reasons == []


def test_many_rows_under_their_ids_are_read_piece_by_piece(tmp_path: Path) -> None:
    rows = {f"k{at}": {"title": "x" * 999} for at in range(3_000)}
    path = written(tmp_path / "x.json", json.dumps(rows))
    read, reasons, _ = entities(path, "items")
    assert [item.id for item in read] == list(rows) and reasons == []


def test_what_is_no_row_under_an_id_is_refused_beside_the_others(tmp_path: Path) -> None:
    path = written(tmp_path / "x.json", '{"a": {"title": "A"}, "b": {"title": "B"}, "c": 7, "d": {"title": "D"}}')
    read, reasons, _ = entities(path, "items")
    assert [item.id for item in read] == ["a", "b", "d"] and len(reasons) == 1


def test_a_row_that_begins_with_an_object_is_a_row(tmp_path: Path) -> None:
    path = written(
        tmp_path / "x.json", '{"director": {"name": "x"}, "id": "9"}\n{"director": {"name": "y"}, "id": "8"}\n'
    )
    read, _, _ = entities(path, "items")
    assert [item.id for item in read] == ["9", "8"]
    path = written(tmp_path / "y.json", '{"director": {"name": "x"}, "id": "9"}')
    assert [item.id for item in entities(path, "items")[0]] == ["9"]
