"""Published data sets, in tiny files of their layouts, written by hand."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmrec_qdrant import InvalidInput, Recommender
from llmrec_qdrant.load.layouts import LAYOUTS
from llmrec_qdrant.load.loader import How, load
from llmrec_qdrant.load.recipe import Recipe
from llmrec_qdrant.load.sources import Source
from tests.loading import entities, events, written


def read(folder: Path, name: str, text: str, format: str, kind: str, encoding: str = "utf-8") -> list[Any]:
    found, reasons, assumed = entities(written(folder / name, text, encoding), kind, format=format)
    assert reasons == []
    assert f" of {format}: " in assumed[0]
    return found


def brief(events: list[Any]) -> list[tuple[Any, ...]]:
    return [(one.user, one.type, one.item, one.value, one.text, one.ts.strftime("%Y-%m-%d")) for one in events]


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        (
            "movies.csv",
            'movieId,title,genres\n7,"Harbour Café, The (1994)",Crime|Drama\n8,Nothing,(no genres listed)\n',
            "utf-8",
        ),
        ("movies.dat", "7::Harbour Café, The (1994)::Crime|Drama\n8::Nothing::(no genres listed)\n", "cp1252"),
    ],
)
def test_movielens_films(tmp_path: Path, name: str, text: str, encoding: str) -> None:
    one, two = read(tmp_path, name, text, "movielens", "items", encoding)
    assert (one.id, one.title, one.text) == ("7", "Harbour Café, The (1994)", "Crime, Drama")
    assert (one.payload, two.payload, two.text) == ({"genres": ["Crime", "Drama"], "year": 1994}, {}, "")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ratings.csv", "userId,movieId,rating,timestamp\n1,7,4.5,1714521600\n2,8,3.0,1714608000\n"),
        ("ratings.dat", "1::7::4.5::1714521600\n2::8::3::1714608000\n"),
        ("u.data", "1\t7\t4.5\t1714521600\n2\t8\t3\t1714608000\n"),
    ],
)
def test_movielens_ratings(tmp_path: Path, name: str, text: str) -> None:
    assert brief(read(tmp_path, name, text, "movielens", "events")) == [
        ("1", "rating", "7", 4.5, "", "2024-05-01"), ("2", "rating", "8", 3.0, "", "2024-05-02"),
    ]  # fmt: skip


def test_movielens_tags(tmp_path: Path) -> None:
    text = "userId,movieId,tag,timestamp\n1,7,slow burn,1714521600\n"
    assert brief(read(tmp_path, "tags.csv", text, "movielens", "events")) == [
        ("1", "tag", "7", None, "slow burn", "2024-05-01")
    ]


AMAZON_REVIEWS = {
    "2014": (
        '{"reviewerID": "A1", "asin": "B1", "reviewerName": "x", "helpful": [0, 1], "reviewText": "Soft &amp; warm", "overall": 5.0, '
        '"summary": "nice", "unixReviewTime": 1714521600, "reviewTime": "05 1, 2024"}\n'
    ),
    "2023": (
        '{"rating": 5.0, "title": "nice", "text": "Soft &amp; warm", "images": [], "asin": "B1-red", "parent_asin": "B1", "user_id": "A1", '
        '"timestamp": 1714521600123, "helpful_vote": 0, "verified_purchase": true}\n'
    ),
}  # fmt: skip


@pytest.mark.parametrize("year", AMAZON_REVIEWS)
def test_amazon_reviews(tmp_path: Path, year: str) -> None:
    events = read(tmp_path, "reviews.json", AMAZON_REVIEWS[year], "amazon", "events")
    assert brief(events) == [("A1", "rating", "B1", 5.0, "Soft & warm", "2024-05-01")]


@pytest.mark.parametrize(
    "text",
    [
        "{'asin': 'B1', 'title': 'Soft scarf', 'description': \"It's warm\", 'brand': 'Fjord', 'imUrl': 'x', 'categories': [['A', 'B']]}\n",
        '{"asin": "B1", "title": "Soft scarf", "description": ["It\'s warm"], "brand": "Fjord", "also_buy": ["B2"], "categories": [["A", "B"]]}\n',
    ],
    ids=["2014, Python dictionaries", "2018"],
)
def test_amazon_products(tmp_path: Path, text: str) -> None:
    (item,) = read(tmp_path, "meta.json", text, "amazon", "items")
    assert (item.id, item.title, item.text) == ("B1", "Soft scarf", "It's warm Fjord")
    assert "imUrl" not in item.payload and "also_buy" not in item.payload


def test_amazon_products_of_2023(tmp_path: Path) -> None:
    text = (
        '{"main_category": "Beauty", "title": "Soft scarf", "average_rating": 4.5, "features": ["wool"], "description": ["warm", "long"], '
        '"price": 9.5, "images": [{"large": "x"}], "store": "Fjord", "parent_asin": "B1", "details": {"a": "b"}}\n'
    )
    (item,) = read(tmp_path, "meta.jsonl", text, "amazon", "items")
    assert (item.id, item.text, item.payload["store"]) == ("B1", "warm, long wool", "Fjord")
    assert "images" not in item.payload


def test_yelp(tmp_path: Path) -> None:
    business = '{"business_id": "b1", "name": "Quay Cafe", "city": "Tampa", "stars": 4.5, "categories": "Cafes, Tea", "hours": {"Monday": "8:0-9:0"}}\n'
    (item,) = read(tmp_path, "business.json", business, "yelp", "items")
    assert (item.id, item.title, item.text) == ("b1", "Quay Cafe", "Cafes, Tea. Tampa")
    assert item.payload == {"city": "Tampa", "stars": 4.5, "categories": ["Cafes", "Tea"]}
    review = '{"review_id": "r1", "user_id": "u1", "business_id": "b1", "stars": 4.0, "useful": 1, "text": "Good tea", "date": "2024-05-01 12:13:14"}\n'
    (event,) = read(tmp_path, "review.json", review, "yelp", "events")
    assert (event.id, *brief([event])[0]) == ("r1", "u1", "rating", "b1", 4.0, "Good tea", "2024-05-01")
    tip = '{"user_id": "u1", "business_id": "b1", "text": "Go early", "date": "2024-05-01 12:13:14", "compliment_count": 0}\n'
    assert brief(read(tmp_path, "tip.json", tip, "yelp", "events")) == [
        ("u1", "tip", "b1", None, "Go early", "2024-05-01")
    ]


def test_mind(tmp_path: Path) -> None:
    news = 'N1\tsports\tsoccer\tThe "last" goal\tA late, loud winner\thttps://x\t[]\t[]\nN2\tfood\trecipes\tSoup\t\thttps://y\t[]\t[]\n'
    one, two = read(tmp_path, "news.tsv", news, "mind", "items")
    assert (one.id, one.title, one.text) == ("N1", 'The "last" goal', "A late, loud winner")
    assert (one.payload, two.text) == ({"category": "sports", "subcategory": "soccer", "url": "https://x"}, "")
    shown = "1\tU1\t5/1/2024 8:55:22 AM\tN1 N2\tN3-0 N4-1\n2\tU2\t5/2/2024 8:55:22 PM\t\tN1-1 N2-0\n"
    events = read(tmp_path, "behaviors.tsv", shown, "mind", "events")
    assert [(one.user, one.item, one.session) for one in events] == [
        ("U1", "N1", None), ("U1", "N2", None), ("U1", "N4", "1"), ("U2", "N1", "2"),
    ]  # fmt: skip
    assert [one.ts.strftime("%m-%d %H") for one in events] == ["05-01 08"] * 3 + ["05-02 20"]


def test_steam(tmp_path: Path) -> None:
    game = "{u'app_name': u'Deep Dig', u'genres': [u'Action', u'Indie'], u'id': u'761140', u'title': u'Deep Dig', u'url': u'x', u'price': 4.99}\n"
    (item,) = read(tmp_path, "steam_games.json", game, "steam", "items")
    assert (item.id, item.title, item.text) == ("761140", "Deep Dig", "Action, Indie")
    assert item.payload == {"genres": ["Action", "Indie"], "price": 4.99}
    reviews = (
        "{'user_id': 'u1', 'user_url': 'x', 'reviews': [{'posted': 'Posted November 5, 2011.', 'item_id': '1250', 'recommend': True, "
        "'review': 'Great'}, {'posted': 'Posted July 15.', 'item_id': '22200', 'recommend': False, 'review': 'Dull'}]}\n"
    )
    assert brief(read(tmp_path, "reviews.json", reviews, "steam", "events")) == [
        ("u1", "like", "1250", None, "Great", "2011-11-05"), ("u1", "dislike", "22200", None, "Dull", "2000-01-01"),
    ]  # fmt: skip
    owned = (
        "{'user_id': 'u1', 'items_count': 1, 'items': [{'item_id': '10', 'item_name': 'Dig', 'playtime_forever': 6}]}\n"
    )
    assert brief(read(tmp_path, "items.json", owned, "steam", "events")) == [("u1", "own", "10", 6.0, "", "2000-01-01")]
    table = (
        "app_id,helpful,funny,date,is_recommended,hours,user_id,review_id\n975370,0,0,2024-05-01,true,36.3,51580,0\n"
    )
    assert brief(read(tmp_path, "recommendations.csv", table, "steam", "events")) == [
        ("51580", "like", "975370", None, "", "2024-05-01")
    ]
    single = "{u'username': u'u1', u'product_id': u'35140', u'date': u'2024-05-01', u'text': u'Fine', u'hours': 2.4}\n"
    assert brief(read(tmp_path, "steam_reviews.json", single, "steam", "events")) == [
        ("u1", "review", "35140", None, "Fine", "2024-05-01")
    ]


@pytest.mark.parametrize("format", LAYOUTS)
def test_another_file_is_refused_with_what_is_known(tmp_path: Path, format: str) -> None:
    for kind in ("items", "events"):
        with pytest.raises(InvalidInput, match=f"no file of {kind} of {format}: it has a, b, and known are .*--map"):
            entities(written(tmp_path / "x.csv", "a,b\n1,2\n"), kind, format=format)


def test_own_options_count_more_than_the_layout(tmp_path: Path) -> None:
    path = written(tmp_path / "ratings.csv", "userId,movieId,rating,timestamp\n1,7,4.5,1714521600\n")
    (event,), _, _ = entities(path, "events", format="movielens", recipe=Recipe({"rating": ""}, {"type": "view"}))
    assert (event.type, event.value) == ("view", None)


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gz"])
def test_a_layout_is_read_from_standard_input_too(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch, compress: Callable[[bytes], bytes]
) -> None:
    for text in ("userId,movieId,rating,timestamp\n1,7,4.5,1714521600\n", "1::8::4.5::1714521600\n"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(compress(text.encode()))))
        assert load(rec, Source("-", format=None), "events", how=How(format="movielens")).written == 1
    assert sorted(event["item_id"] for event in events(rec)) == ["7", "8"]
