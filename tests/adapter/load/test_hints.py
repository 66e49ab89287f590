"""The options that an error advises load the table when they are obeyed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from llmrec_qdrant import InvalidInput
from llmrec_qdrant.load.hints import options_for
from llmrec_qdrant.load.recipe import Recipe
from tests.loading import entities, written

TABLES = {
    "ratings": ("events", "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n"),
    "two columns": ("events", "user_id,item_id\n1,31\n"),
    "amazon": ("events", "reviewerID,asin,overall,reviewText,unixReviewTime,helpful\nA1,B1,5.0,good,1390867200,\"[0, 0]\"\n"),
    "chinese": ("events", "用户ID,商品ID,行为,时间,备注\nu1,p1,view,2024年5月1日,无\n"),
    "already right but for one": ("events", "user,type,item,timestamp\nu,view,i,2024-05-01\n"),
    "spaces and quotes": ("events", "User ID,Item ID,Rating,It's odd; very\n1,2,3,x\n"),
    "capital letters": ("events", "User,ITEM,Type,Time\nu,i,View,2024-05-01\n"),
    "german": ("events", "Kunde,Artikel,Sterne,Datum\nk1,1,4,05.11.2024 10:30\n"),
    "movies": ("items", "movieId,title,genres\n1,Heat,Crime|Drama\n"),
    "products": ("items", "商品ID,商品名称,简介,价格\n1,手机,轻薄,1999\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_advice_works_when_it_is_obeyed(tmp_path: Path, name: str) -> None:
    kind, text = TABLES[name]
    path = written(tmp_path / "x.csv", text)
    with pytest.raises(InvalidInput) as caught:
        entities(path, kind)
    words = shlex.split("--map" + str(caught.value).partition("--map")[2].removesuffix(" to rename or drop columns"))
    pairs: dict[str, dict[str, str]] = {"--map": {}, "--set": {}}
    for option, pair in zip(words[::2], words[1::2], strict=True):
        old, _, new = pair.partition("=")
        pairs[option][old] = new
    read, reasons, _ = entities(path, kind, recipe=Recipe(pairs["--map"], pairs["--set"]))
    assert (len(read), reasons) == (1, [])


def test_objects_are_advised_alike(tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", '{"userId": 1, "movieId": 2, "rating": 3.5}\n' * 3)
    with pytest.raises(InvalidInput, match="--map userId=user --map movieId=item --map rating=value --set type=rating"):
        entities(path, "events")


def test_a_known_layout_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="add --format movielens, or --map"):
        entities(written(tmp_path / "x.csv", TABLES["ratings"][1]), "events")


def test_what_cannot_be_guessed_is_left_to_fill_in() -> None:
    assert options_for("items", ("a", "b"), ()) == "--map COLUMN=id"
    assert options_for("events", ("a", "item", "b"), ("item",)) == "--set type=view --map COLUMN=user"


def test_items_without_title_and_text_are_told_what_looks_like_them(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "id,Title,Overview\n1,Heat,A heist\n")
    assert entities(path, "items")[2] == (
        "there is neither title nor text; perhaps add --map Title=title --map Overview=text",
    )
