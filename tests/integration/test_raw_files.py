"""From raw files to a list through the command line alone, in four commands, for three kinds of data sets."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.commandline import Llmrec, clean_environment, run

__all__ = ["clean_environment", "run"]

FILMS = {
    "1": ("Night Harbour (1991)", "Crime|Drama"), "2": ("Harbour Lights (1993)", "Crime|Drama"), "3": ("Star Drift (1995)", "Sci-Fi"),
    "4": ("Second Moon (1999)", "Sci-Fi"), "5": ("Kitchen Tales (2001)", "Comedy"), "6": ("Drift Home (2003)", "Sci-Fi|Drama"),
}  # fmt: skip
RATINGS = [
    (1, 3, 5.0),
    (1, 4, 4.5),
    (2, 3, 4.0),
    (2, 4, 5.0),
    (2, 6, 4.5),
    (3, 1, 5.0),
    (3, 2, 4.5),
    (4, 5, 4.0),
    (4, 1, 1.5),
]


def movielens(folder: Path) -> list[list[str]]:
    films = "".join(f'{id},"{title}",{genres}\r\n' for id, (title, genres) in FILMS.items())
    (folder / "movies.csv").write_text("movieId,title,genres\r\n" + films)
    ratings = "".join(
        f"{user},{film},{value},{964982703 + k * 86_400}\r\n" for k, (user, film, value) in enumerate(RATINGS)
    )
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\r\n" + ratings)
    return [
        ["init", "--field", "year:integer", "--field", "genres:keyword"],
        ["load", "items", "movies.csv", "--format", "movielens"],
        ["load", "events", "ratings.csv", "--format", "movielens"],
        ["recommend", "1", "--filter", "year>=1990"],
    ]


def amazon(folder: Path) -> list[list[str]]:
    products = [
        {"parent_asin": f"B00{id}", "title": title.replace(" (", " &amp; more ("), "features": [genres], "description": [], "price": None, "images": []}
        for id, (title, genres) in FILMS.items()
    ]  # fmt: skip
    reviews = [
        {"user_id": f"A{user}", "parent_asin": f"B00{film}", "asin": f"B00{film}x", "rating": value, "title": "so", "text": "Good<br />one",
         "timestamp": 1588615855070 + k * 86_400_000, "verified_purchase": True, "helpful_vote": 0}
        for k, (user, film, value) in enumerate(RATINGS)
    ]  # fmt: skip
    for name, rows in (("meta.jsonl.gz", products), ("reviews.jsonl.gz", reviews)):
        (folder / name).write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return [
        ["init"], ["load", "items", "meta.jsonl.gz", "--format", "amazon"], ["load", "events", "reviews.jsonl.gz", "--format", "amazon"],
        ["recommend", "A1"],
    ]  # fmt: skip


def chinese(folder: Path) -> list[list[str]]:
    """As a spreadsheet in China saves it: GB 18030, its own words for columns and behaviour, its own dates."""
    goods = "".join(
        f"B00{id},{title.split(' (')[0]} 手机壳,{genres.replace('|', '、')},1{id}9\r\n"
        for id, (title, genres) in FILMS.items()
    )
    (folder / "商品.csv").write_bytes(f"商品ID,商品名称,描述,价格\r\n{goods}".encode("gb18030"))
    clicks = "".join(
        f"用户{user},B00{film},{'购买' if value > 4 else '浏览'},2024年5月{k + 1}日 10:30\r\n"
        for k, (user, film, value) in enumerate(RATINGS)
    )
    (folder / "行为.csv").write_bytes(f"用户ID,商品ID,行为,时间\r\n{clicks}".encode("gb18030"))
    return [
        ["init", "--field", "价格:integer"],
        ["load", "items", "商品.csv", "--map", "商品ID=id", "--map", "商品名称=title", "--map", "描述=text"],
        ["load", "events", "行为.csv", "--map", "用户ID=user", "--map", "商品ID=item", "--map", "行为=type", "--map", "时间=ts",
         "--time-zone", "Asia/Shanghai"],
        ["recommend", "用户1"],
    ]  # fmt: skip


@pytest.mark.parametrize("data_set", [movielens, amazon, chinese], ids=lambda data_set: data_set.__name__)
def test_four_commands_from_raw_files_to_a_list(run: Llmrec, tmp_path: Path, data_set: Any) -> None:
    init, items, events, recommend = data_set(tmp_path)
    where = ["--path", "data", "--json"]
    assert run(*init, "--model", "hash", "--size", "64", *where).code == 0
    loaded = [run(*command, *where) for command in (items, events)]
    assert [(ran.code, ran.json["load"]["written"], ran.json["load"]["undated"]) for ran in loaded] == [
        (0, 6, 0),
        (0, 9, 0),
    ]
    assert loaded[1].json["status"]["users"] == 4
    first = run(*recommend, *where).json[0]  # the film that the other friend of Sci-Fi liked, too
    assert first["id"] in {"6", "B006"}
    assert "Drift Home" in first["title"] and "&amp;" not in first["title"]
    again = [run(*command, *where).json for command in (items, events)]
    assert (again[0]["load"]["unchanged"], again[1]["status"]["events"]) == (6, 9)
