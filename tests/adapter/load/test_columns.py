"""Columns → fields: names, types, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmrec_qdrant import InvalidInput, Recommender, SpaceConfig
from llmrec_qdrant.load.columns import item_of
from llmrec_qdrant.load.loader import How
from llmrec_qdrant.load.recipe import Recipe
from llmrec_qdrant.load.sources import Cell
from llmrec_qdrant.load.times import Clock
from tests.loading import (
    CLICKS,
    as_jsonl,
    entities,
    item,
    load_text,
    own_fields,
    written,
)


def test_cells_become_the_numbers_they_spell(rec: Recommender, tmp_path: Path) -> None:
    cells = {
        "a": ("-3", -3), "b": ("4.50", 4.5), "c": ("true", True), "d": ("FALSE", False), "e": ("0", 0),
        "zip": ("01234", "01234"), "f": ("1_000", "1_000"), "g": ("nan", "nan"), "h": ("inf", "inf"),
        "i": ("1e5", "1e5"), "j": ("+49 30", "+49 30"), "k": ("٣", "٣"), "l": ("3 ", 3), "m": ("1e-05", 1e-05),
        "ean": ("4006381333931", 4006381333931), "big": ("9" * 30, "9" * 30), "n": ("1.2.3", "1.2.3"),
    }  # fmt: skip
    text = f"id,{','.join(cells)}\n42,{','.join(cell for cell, _ in cells.values())}\n"
    load_text(rec, tmp_path, text, "rows.csv")
    found = own_fields(rec, "42")  # ids stay text
    assert found == {name: value for name, (_, value) in cells.items()}
    assert {name: type(value) for name, value in found.items()} == {n: type(v) for n, (_, v) in cells.items()}


def test_the_kind_of_an_indexed_field_decides(rec: Recommender, tmp_path: Path) -> None:
    """A keyword filter would never find the number 7, nor an integer filter the text '2014'."""
    load_text(rec, tmp_path, "id,code,year,price\nm1,7,2014,3\n", "rows.csv")
    found = own_fields(rec, "m1")
    assert found == {"code": "7", "year": 2014, "price": 3.0}
    assert type(found["price"]) is float
    assert [one.id for one in rec.recommend("x", filter={"code": "7"})] == ["m1"]


def test_whole_numbers_that_a_table_with_gaps_made_floats(rec: Recommender, tmp_path: Path) -> None:
    result, refused = load_text(rec, tmp_path, "id,year\nm1,1995.0\nm2,\nm3,soon\n", "rows.csv")
    assert (result.written, [one["line"] for one in refused]) == (2, [4])
    assert "'year': the space indexes it as integer, and 'soon' is not" in refused[0]["reason"]
    assert type(own_fields(rec, "m1")["year"]) is int and own_fields(rec, "m2") == {}


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        (
            "integer",
            {"1234567890123456789": 1234567890123456789, "+1995": 1995, " 1995": 1995, "01995": 1995, "2e3": 2000},
        ),
        ("float", {".5": 0.5, "5.": 5.0, "1e5": 1e5, "+5": 5.0, "7": 7}),
        ("bool", {"1": True, "0": False, "True ": True}),
        ("keyword", {"007": "007", "true": "true"}),
    ],
)
def test_a_cell_is_read_as_the_kind_its_field_has(kind: Any, cells: dict[str, Any]) -> None:
    assert {cell: item_of({"id": "1", "x": Cell(cell)}, {"x": kind}).payload["x"] for cell in cells} == cells


def test_other_types_of_other_sources_become_the_kind_of_their_field() -> None:
    kinds: dict[str, Any] = {"zip": "keyword", "ok": "bool", "years": "integer", "at": "geo"}
    row = {"id": "1", "zip": 1234, "ok": 1, "payload": {"years": [1995.0, 1996]}, "at": Cell('{"lon": 1, "lat": 2}')}
    assert item_of(row, kinds).payload == {"zip": "1234", "ok": True, "years": [1995, 1996], "at": {"lon": 1, "lat": 2}}


EXPORT = """\
id;title;year;price;seen;released;code
m1;A;1995.0;1.299,50 €;yes;17.05.2024;862.0
m2;B;nan;9,5;否;2024-05;
m3;C;1 995;3;N/A;1977;12.0
m4;D;x;3;true;1977;7
m5;E;1999;3;true;32/13/2024;7
"""


def test_an_export_of_a_spreadsheet_fits_the_fields_of_the_space(tmp_path: Path) -> None:
    kinds: dict[str, Any] = {
        "year": "integer", "price": "float", "seen": "bool", "released": "datetime", "code": "keyword",
    }  # fmt: skip
    with Recommender.connect(path=":memory:", space="x") as rec:
        rec.create(SpaceConfig(model="hash", size=16, fields=kinds))
        result, refused = load_text(rec, tmp_path, EXPORT, "rows.csv")
        assert own_fields(rec, "m1") == {
            "year": 1995, "price": 1299.5, "seen": True, "released": "2024-05-17T00:00:00Z", "code": "862"
        }  # fmt: skip
        assert own_fields(rec, "m2") == {
            "year": None, "price": 9.5, "seen": False, "released": "2024-05-01T00:00:00Z",
        }  # fmt: skip
        assert own_fields(rec, "m3") == {
            "year": 1995, "price": 3.0, "seen": None, "released": "1977-01-01T00:00:00Z", "code": "12"
        }  # fmt: skip
        assert [(row["line"], row["reason"].split("'")[1]) for row in refused] == [(5, "year"), (6, "released")]
        assert "'code' lose their .0" in "; ".join(result.assumed)
        assert "'released' holds times: 17.05.2024 is 2024-05-17T00:00:00Z" in result.assumed
        assert [one.id for one in rec.recommend("x", filter={"seen": "no"})] == ["m2"]
        assert [one.id for one in rec.recommend("x", filter={"released": "2024-05"})] == ["m1", "m2"]


def test_own_times_are_read_column_by_column_and_in_a_named_format(tmp_path: Path) -> None:
    kinds: dict[str, Any] = {"a": "datetime", "b": "datetime"}
    with Recommender.connect(path=":memory:", space="x") as rec:
        rec.create(SpaceConfig(model="hash", size=16, fields=kinds))
        load_text(rec, tmp_path, "id,title,a,b\n1,A,13/05/2024,05/13/2024\n2,B,01/02/2024,01/02/2024\n", "rows.csv")
        assert own_fields(rec, "2") == {"a": "2024-02-01T00:00:00Z", "b": "2024-01-02T00:00:00Z"}
        with pytest.raises(InvalidInput, match="'01/02/2024' may begin with the day or the month"):
            load_text(rec, tmp_path, "id,title,a\n3,A,01/02/2024\n", "rows.csv")
        result, refused = load_text(
            rec, tmp_path, "id,title,a\n3,A,1.2.24\n4,B,\n5,C,2.1.2024\n", "rows.csv", how=How(clock=Clock("%d.%m.%y"))
        )
        assert own_fields(rec, "3") == {"a": "2024-02-01T00:00:00Z"} and result.written == 2
        assert "Item: 'a': " in refused[0]["reason"]


def test_json_values_keep_their_type(rec: Recommender, tmp_path: Path) -> None:
    load_text(rec, tmp_path, as_jsonl([{"id": 7, "zip": "1234", "n": 1234, "list": ["1", 2], "deep": {"a": "1"}}]))
    assert own_fields(rec, "7") == {"zip": "1234", "n": 1234, "list": ["1", 2], "deep": {"a": "1"}}


def test_a_payload_may_be_an_object_or_its_text(rec: Recommender, tmp_path: Path) -> None:
    load_text(rec, tmp_path, as_jsonl([{"id": "a", "payload": {"n": 1, "w": "x"}, "m": 2}]))
    load_text(rec, tmp_path, 'id,payload,m\nb,"{""n"": 1, ""w"": ""x""}",2\n', "rows.csv")
    assert own_fields(rec, "a") == own_fields(rec, "b") == {"n": 1, "w": "x", "m": 2}


def test_columns_are_renamed_and_dropped(rec: Recommender, tmp_path: Path) -> None:
    text = "movieId,name,secret\n1,Heat,x\n"
    result, _ = load_text(rec, tmp_path, text, "rows.csv", rename={"movieId": "id", "name": "title", "secret": ""})
    assert result.written == 1
    assert (item(rec, "1") or {})["title"] == "Heat"
    assert own_fields(rec, "1") == {}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"user": "u", "type": "rating", "item": "i", "value": NaN}', "a rating needs a value"),
        ('{"user": "u", "type": "rating", "item": "i", "value": 1e999}', "'value'"),
        ('{"user": "u", "type": "view", "item": "i", "ts": "45413"}', "spreadsheet"),
        ('{"user": "u", "type": "view", "item": "i", "timestamp": 1}', "timestamp"),
        ('{"user": "u", "type": "Viewed It", "item": "i"}', "'type'"),
        ('{"user": "u", "type": "view"}', "an item or a text"),
    ],
)
def test_bad_events(rec: Recommender, tmp_path: Path, line: str, reason: str) -> None:
    result, refused = load_text(rec, tmp_path, line + "\n" + as_jsonl(CLICKS), kind="events")
    assert (result.written, result.rejected) == (3, 1)
    assert refused[0]["line"] == 1
    assert reason in refused[0]["reason"]


def test_a_rating_of_nan_in_a_table(rec: Recommender, tmp_path: Path) -> None:
    text = "user,type,item,value\nu,rating,i,NaN\nu,rating,i,\nu,rating,i,5\n"
    result, refused = load_text(rec, tmp_path, text, "rows.csv", kind="events")
    assert (result.written, [one["line"] for one in refused]) == (1, [2, 3])


@pytest.mark.parametrize(
    ("kind", "header", "reason"),
    [
        ("events", "user,type,item,timestamp", "'timestamp'.*--map timestamp="),
        ("events", "userId,type,item", "'user'.*--map userId=user"),
        ("events", "user,item", "'type'"),
        ("items", "movieId,title", "'id'.*--map"),
        ("items", "id,title,title", "'title' twice"),
        ("items", "id,topics", "'topics'"),
    ],
)
def test_a_table_with_the_wrong_columns_is_refused_as_a_whole(
    rec: Recommender, tmp_path: Path, kind: Any, header: str, reason: str
) -> None:
    """Ten million identical complaints help nobody."""
    with pytest.raises(InvalidInput, match=reason):
        load_text(rec, tmp_path, header + "\n" + ",".join("x" for _ in header.split(",")) + "\n", "r.csv", kind=kind)


def test_a_decimal_comma_in_a_declared_field_survives_a_bad_cell(rec: Recommender, tmp_path: Path) -> None:
    result, refused = load_text(rec, tmp_path, "id;price\n1;3,50\n2;abc\n3;1.299,95\n", "rows.csv")
    assert (result.written, [one["line"] for one in refused]) == (2, [3])
    assert (own_fields(rec, "1"), own_fields(rec, "3")) == ({"price": 3.5}, {"price": 1299.95})


def test_rows_without_ids_are_numbered_by_their_line(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", 'title\n"a\nb"\nc\n')
    with pytest.raises(InvalidInput, match="add --map COLUMN=id, or number the rows with --map line=id"):
        entities(path, "items")
    read, _, _ = entities(path, "items", recipe=Recipe(rename={"line": "id"}))
    assert [(item.id, item.title) for item in read] == [("2", "a\nb"), ("4", "c")]
    path = written(tmp_path / "y.csv", "line,title\n7,a\n")  # a column of that name counts more
    assert [item.id for item in entities(path, "items", recipe=Recipe(rename={"line": "id"}))[0]] == ["7"]


def test_a_message_names_some_of_very_many_columns(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", ",".join(f"c{at}" for at in range(5_000)) + "\n1\n")
    with pytest.raises(InvalidInput, match="c29, 4,970 more") as refused:
        entities(path, "items")
    assert len(str(refused.value)) < 500
