"""The example the product began with, on the real model and in every configuration of it."""

from __future__ import annotations

from typing import Any

import pytest

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig

BEHAVIOURS = ["我喜欢看电影", "我最近看了《肖申克的救赎》", "我想看一些科幻电影"]
FILMS = ["动作电影《速度与激情》", "喜剧电影《泰坦尼克号》", "科幻电影《星际穿越》"]


@pytest.mark.model
@pytest.mark.parametrize("config", [{}, {"pooling": "cls"}, {"similarity": "pearson"}, {"model": "hash"}])
@pytest.mark.parametrize("behaviours", [BEHAVIOURS, BEHAVIOURS[::-1]], ids=["in order", "reversed"])
def test_who_wants_science_fiction_gets_interstellar(config: dict[str, Any], behaviours: list[str]) -> None:
    with Recommender.connect(path=":memory:", space="founding") as rec:
        rec.create(SpaceConfig(**config))
        rec.upsert_items([Item(id=title, title=title) for title in FILMS])
        rec.track(
            [Event(user="u", type="search", text=text, ts=1_600_000_000 + k) for k, text in enumerate(behaviours)]
        )
        listed = rec.recommend("u", explain=True)
        assert listed[0].id == "科幻电影《星际穿越》"
        assert "科幻" in listed[0].reason
        assert rec.search("科幻电影")[0].id == "科幻电影《星际穿越》"
