"""Delimiters, headers and cells as programs write them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_qdrant import InvalidInput
from llmrec_qdrant.load.recipe import Recipe
from llmrec_qdrant.load.tables import delimiter_of
from tests.loading import entities, written


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "::"])
def test_a_delimiter_is_recognised(tmp_path: Path, delimiter: str) -> None:
    text = "id,title,text\n1,Heat,A thief; a cop\n2,Up,Balloons | a house\n".replace(",", delimiter)
    if delimiter in {";", "|"}:
        text = text.replace("A thief; a cop", '"A thief; a cop"').replace("Balloons | a house", '"Balloons | a house"')
    items, reasons, _ = entities(written(tmp_path / "x.csv", text), "items")
    assert [(one.id, one.title, one.text) for one in items] == [
        ("1", "Heat", "A thief; a cop"),
        ("2", "Up", "Balloons | a house"),
    ]
    assert reasons == []


@given(
    st.sampled_from([",", ";", "\t", "|"]),
    st.lists(st.lists(st.text("ab,;|\t \"'\n", max_size=12), min_size=3, max_size=3), min_size=1, max_size=20),
)
def test_whatever_the_cells_hold(delimiter: str, rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([["id", "title", "text"], *rows])
    assert delimiter_of(text.getvalue()) == delimiter


def test_the_line_by_which_excel_names_its_delimiter_is_no_header(tmp_path: Path) -> None:
    items, _, _ = entities(written(tmp_path / "x.csv", "sep=;\r\nid;title\r\n1;Heat\r\n"), "items")
    assert [(one.id, one.title) for one in items] == [("1", "Heat")]


def test_a_delimiter_can_be_named(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "id^title\n1^a,b\n")
    assert entities(path, "items", delimiter="^")[0][0].title == "a,b"


def test_a_table_without_a_header_line(tmp_path: Path) -> None:
    path = written(tmp_path / "ratings.csv", "1,31,2.5,1260759144\n1,1029,3.0,1260759179\n")
    with pytest.raises(InvalidInput, match="name its 4 columns with --columns"):
        entities(path, "events")
    with pytest.raises(InvalidInput, match="--columns"):  # two cells are equal
        entities(written(tmp_path / "x.csv", "1,1,2.5,1260759144\n"), "events")
    events, reasons, _ = entities(
        path, "events", names=("user", "item", "value", "ts"), recipe=Recipe(constants={"type": "rating"})
    )
    assert [(one.user, one.item, one.value, one.type) for one in events] == [
        ("1", "31", 2.5, "rating"),
        ("1", "1029", 3.0, "rating"),
    ]
    assert reasons == []


def test_an_index_that_pandas_writes_and_empty_cells_at_the_end_are_no_columns(tmp_path: Path) -> None:
    items, reasons, _ = entities(written(tmp_path / "x.csv", ",id,title\n0,7,Heat\n1,8,Up,,\n"), "items")
    assert [(one.id, one.title, one.payload) for one in items] == [("7", "Heat", {}), ("8", "Up", {})]
    assert reasons == []


def test_nulls_of_databases_are_empty(tmp_path: Path) -> None:
    items, _, _ = entities(written(tmp_path / "x.csv", "id,title,year\n7,Heat,\\N\n"), "items")
    assert items[0].payload == {}


def test_decimal_commas_of_a_rating(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "user;type;item;value;ts\nu;rating;1;4,5;2024-05-01\n")
    assert entities(path, "events")[0][0].value == 4.5


@pytest.mark.parametrize("name", ["x.txt", "x", "x.data"])
def test_a_table_of_any_name(tmp_path: Path, name: str) -> None:
    assert entities(written(tmp_path / name, "id\ttitle\n1\tHeat\n"), "items")[0][0].title == "Heat"
    with pytest.raises(InvalidInput, match="--format"):
        entities(written(tmp_path / name, "just a sentence\n"), "items")


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_quote_that_is_never_closed_swallows_no_rows(tmp_path: Path, delimiter: str) -> None:
    text = 'id,title\n1,He said "no"\n2,"Broken start\n3,ok\n4,"a ""quoted"" word"\n5,"closed" late\n6,"two\nlines"\n'
    items, reasons, _ = entities(written(tmp_path / "x.csv", text.replace(",", delimiter)), "items")
    assert [(one.id, one.title) for one in items] == [
        ("1", 'He said "no"'), ("3", "ok"), ("4", 'a "quoted" word'), ("6", "two\nlines"),
    ]  # fmt: skip
    assert len(reasons) == 2 and all("quote" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<!DOCTYPE html><html><body>Sign in", "is a web page"),
        ("version https://git-lfs.github.com/spec/v1\noid x\n", "Git LFS"),
    ],
)
def test_what_is_downloaded_by_mistake(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        entities(written(tmp_path / "x.csv", text), "items")


def test_objects_in_a_file_that_is_called_csv(tmp_path: Path) -> None:
    assert [one.id for one in entities(written(tmp_path / "x.csv", '{"id": 1}\n{"id": 2}\n'), "items")[0]] == ["1", "2"]


def test_decimal_commas_of_a_column(tmp_path: Path) -> None:
    """All cells of a column tell; 1,999 alone may be a thousand, and stays text."""
    text = "id;price;weight;code;title\n1;3,50;1,999;7,5;1,5\n2;1.299,00;2,500;A1;x\n3;4;3,100;8,5;y\n"
    items, _, assumed = entities(written(tmp_path / "x.csv", text), "items")
    assert [one.payload["price"] for one in items] == [3.5, 1299.0, 4]
    assert (items[0].payload["weight"], items[0].payload["code"], items[0].title) == ("1,999", "7,5", "1,5")
    assert "'price' has decimal commas" in assumed


def test_empty_lines_are_no_header(tmp_path: Path) -> None:
    assert [one.id for one in entities(written(tmp_path / "x.csv", "\n\nid,title\n1,A\n\n2,B\n"), "items")[0]] == [
        "1",
        "2",
    ]
