"""Columns are renamed, filled, split and composed."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmrec_qdrant import InvalidInput
from llmrec_qdrant.load.recipe import Recipe, Template
from tests.loading import entities, written


@pytest.mark.parametrize(
    ("template", "row", "expected"),
    [
        ("{title}. {director}", {"title": "Heat", "director": "Michael Mann"}, "Heat. Michael Mann"),
        ("{title}. {director}", {"title": "Heat"}, "Heat"),
        ("{title}. {director}", {"director": "Michael Mann"}, "Michael Mann"),
        ("{title}. {director}", {"title": " ", "director": None}, ""),
        ("Directed by {director}. Plot: {plot}.", {"director": "Mann", "plot": "A heist"}, "Directed by Mann. Plot: A heist."),
        ("Directed by {director}. Plot: {plot}.", {"plot": "A heist"}, "Plot: A heist."),
        ("Directed by {director}. Plot: {plot}.", {"director": "Mann"}, "Directed by Mann"),
        ("{genres} ({year})", {"genres": ["Crime", "Drama"], "year": 1995}, "Crime, Drama (1995)"),
        ("{{{title}}}", {"title": "Heat"}, "{Heat}"),
        ("{商品 名}：{简介}", {"商品 名": "手机", "简介": "轻薄"}, "手机：轻薄"),
    ],
)  # fmt: skip
def test_a_text_is_composed_and_missing_parts_fall_out(template: str, row: dict[str, object], expected: str) -> None:
    assert Template(template).filled(row) == expected


@pytest.mark.parametrize("template", ["{title", "title}", "{}", "{title!r}", "{title:>10}"])
def test_a_template_that_cannot_be_read(template: str) -> None:
    with pytest.raises(InvalidInput, match="--text"):
        _ = Template(template).columns


def test_columns_are_set_split_and_composed(tmp_path: Path) -> None:
    path = written(
        tmp_path / "x.csv", "movieId,title,genres,director,lang\n1,Heat,Crime| Drama|,Mann,\n2,Up,,Docter,fr\n"
    )
    recipe = Recipe({"movieId": "id"}, {"lang": "en"}, {"genres": "|"}, "{title}. {director}")
    items, reasons, _ = entities(path, "items", recipe=recipe)
    assert [(one.id, one.text, one.payload) for one in items] == [
        ("1", "Heat. Mann", {"genres": ["Crime", "Drama"], "director": "Mann", "lang": "en"}),
        ("2", "Up. Docter", {"director": "Docter", "lang": "fr"}),
    ]
    assert reasons == []


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (Recipe({"movieID": "id"}), "--map names the column 'movieID', which is not there: there are id, title"),
        (Recipe({"title": "id"}), "the columns 'id' and 'title' would both be 'id': drop one with --map id="),
        (Recipe(split={"genre": "|"}), "--split names the column 'genre'"),
        (Recipe(text="{title} {plot}"), "--text names the column 'plot'"),
    ],
)
def test_a_column_that_is_not_there(tmp_path: Path, recipe: Recipe, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        entities(written(tmp_path / "x.csv", "id,title\n1,Heat\n"), "items", recipe=recipe)


def test_events_take_values_of_their_fields_only(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--set device: events have no such field"):
        path = written(tmp_path / "x.csv", "user,item\nu,i\n")
        entities(path, "events", recipe=Recipe(constants={"type": "view", "device": "x"}))
