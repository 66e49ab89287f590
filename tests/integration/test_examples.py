"""The examples run, and show what their pages promise."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from llmrec_qdrant import Recommender
from tests.services import ROOT

EXAMPLES = ROOT / "examples"


def load_script(path: Path) -> ModuleType:
    """A script of an example, imported."""
    spec = importlib.util.spec_from_file_location(f"example_{path.parent.name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def opened(name: str) -> Recommender:
    """The space of an example, with the encoder that needs no model."""
    module: ModuleType = load_script(EXAMPLES / name / "run.py")
    rec: Recommender = module.build("hash")
    return rec


def ids(listed: list[Any]) -> list[str]:
    return [item.id for item in listed]


@pytest.fixture(scope="module")
def shop() -> Recommender:
    return opened("shop")


@pytest.fixture(scope="module")
def news() -> Recommender:
    return opened("news")


@pytest.fixture(scope="module")
def community() -> Recommender:
    return opened("community")


@pytest.mark.parametrize("name", ["shop", "news", "community"])
def test_the_script_prints_lists(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["run.py", "--model", "hash"])
    load_script(EXAMPLES / name / "run.py").main()
    assert len(re.findall(r"^  \S", capsys.readouterr().out, re.MULTILINE)) >= 10


def test_the_shop_keeps_to_price_and_stock_and_leaves_out_what_came_back(shop: Recommender) -> None:
    listed = shop.recommend("ada", 5, filter={"price": {"lte": 60}, "in_stock": True})
    assert len(listed) == 5 and all(item.payload["price"] <= 60 and item.payload["in_stock"] for item in listed)
    assert [item.payload["category"] for item in listed[:3]] == ["coffee"] * 3
    assert "coffee-3" not in ids(shop.recommend("ada", 40, exclude_seen=False))


def test_one_search_is_enough_for_a_visitor_of_the_shop(shop: Recommender) -> None:
    assert all(item.payload["category"] == "coffee" for item in shop.recommend("kim", 3))


def test_the_news_are_fresh_or_of_one_section(news: Recommender) -> None:
    fresh = news.recommend("小林", 5, filter={"published": {"gte": "2026-10-01T00:00:00Z"}})
    assert fresh and all(str(item.payload["published"]) >= "2026-10" for item in fresh)
    assert {item.payload["section"] for item in news.recommend("小林", 3, filter={"section": "体育"})} == {"体育"}
    newest = [str(item.payload["published"]) for item in news.top(5, by="published")]
    assert newest == sorted(newest, reverse=True)


def test_a_reader_who_only_searched_gets_the_words(news: Recommender) -> None:
    assert "决赛" in news.recommend("新读者", 1)[0].title


def test_the_community_knows_likes_follows_comments_and_dislikes(community: Recommender) -> None:
    assert community.recommend("amy", 1)[0].payload["tag"] == "pottery"
    assert "astronomy-1" not in ids(community.recommend("amy", 40, exclude_seen=False))
    kinds = {event.type for event in community.events("amy")}
    assert {"view", "follow", "dislike"} <= kinds


def test_the_notebook_runs_and_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells one after the other, as a kernel runs them; the last expression of each is its result."""
    monkeypatch.chdir(ROOT)
    notebook = json.loads((EXAMPLES / "report.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    drawn = 0
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            exec(compile(source, cell["id"], "exec"), names)
            if source.startswith("rec.visualize"):
                drawn += bool(eval(source, names).data)
    assert drawn == 4
    assert 4_000_000 < len(names["page"]) < 12_000_000
