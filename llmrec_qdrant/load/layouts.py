"""Known data sets by name: which columns their files have, and which fields they become.

Sources: the descriptions that the publishers give of their files. GroupLens for MovieLens (100K, 1M and later), McAuley Lab for
Amazon Reviews (2014, 2018 and 2023) and Steam, the Yelp Open Dataset, MIND (Microsoft News Dataset), and the reviews and
games of Steam on Kaggle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.recipe import Recipe, named
from llmrec_qdrant.load.rows import Cell
from llmrec_qdrant.load.sources import Source

__all__ = ["LAYOUTS", "Layout", "layout_of", "published_as"]


@dataclass(frozen=True)
class Layout:
    """One kind of file of a data set."""

    file: str
    """Name of the file, as published."""
    needs: tuple[str, ...]
    """Columns by which it is recognised."""
    recipe: Recipe
    names: tuple[str, ...] = ()
    """Columns of a file without a header line."""
    delimiter: str = ""
    quoted: bool = True
    time_format: str = ""


def _events(rename: str, **more: Any) -> Recipe:
    return Recipe(rename=_pairs(rename), drop_others=True, **more)


def _pairs(text: str) -> dict[str, str]:
    """Read ``a=b c=`` as a mapping."""
    pairs = (pair.partition("=") for pair in text.split())
    return {old: new for old, _, new in pairs}


def _mind_events(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the clicks of a user: those of the history, which have no times of their own, and those of the impression."""
    if "impressions" not in row and "history" not in row:
        yield row
        return
    shared = {name: row[name] for name in ("user",) if name in row}
    for news in str(row.get("history", "")).split():
        yield {**shared, "item": Cell(news), "ts": row.get("ts"), "id": f"{row.get('user')}:history:{news}"}
    for shown in str(row.get("impressions", "")).split():
        news, _, clicked = shown.rpartition("-")
        if clicked == "1":
            yield {**shared, "item": Cell(news), "ts": row.get("ts"), "session": row.get("impression")}


def _steam_reviews(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the reviews in a row of a user, or the row itself if it is a review."""
    for review in row["reviews"] if isinstance(row.get("reviews"), list) else (row,):
        liked = next((review[name] for name in ("recommend", "is_recommended") if name in review), None)
        posted = re.sub(r"^Posted |\.$", "", str(review.get("posted") or review.get("date") or ""))
        yield {
            **{name: value for name, value in review.items() if name not in {"posted", "date"}},
            **{name: row[name] for name in ("user_id",) if name in row},
            **({"ts": posted} if re.search(r"\d{4}", posted) else {}),
            **({} if liked is None else {"type": "like" if str(liked).lower() in {"true", "1"} else "dislike"}),
        }


def _steam_libraries(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the games that a user owns."""
    for game in row["items"] if isinstance(row.get("items"), list) else (row,):
        yield {**{name: row[name] for name in ("user_id",) if name in row}, **game}


def _movie(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a film with the year that its title ends with, and without the words that stand for no genres."""
    year = re.search(r"\((\d{4})\)\s*$", str(row.get("title", "")))
    kept = {name: value for name, value in row.items() if value != "(no genres listed)"}
    yield {**kept, **({"year": int(year[1])} if year else {})}


def _file(file: str, needs: str, recipe: Recipe, **more: Any) -> Layout:
    return Layout(file, tuple(needs.split()), recipe, **more)


_RATINGS = "userId=user movieId=item rating=value timestamp=ts"

LAYOUTS: dict[str, dict[str, tuple[Layout, ...]]] = {
    "movielens": {
        "items": (
            _file("movies.csv or movies.dat", "movieId title genres", Recipe(_pairs("movieId=id"), split={"genres": "|"}, text="{overview} {genres}", expand=_movie), names=("movieId", "title", "genres")),
        ),
        "events": (
            _file("ratings.csv, ratings.dat or u.data", "userId movieId rating timestamp", _events(_RATINGS, constants={"type": "rating"}), names=("userId", "movieId", "rating", "timestamp"), time_format="s"),
            _file("tags.csv", "userId movieId tag timestamp", _events("userId=user movieId=item tag=text timestamp=ts", constants={"type": "tag"}), time_format="s"),
        ),
    },
    "amazon": {
        "items": (
            _file("meta_*.jsonl (2023)", "parent_asin title", Recipe(_pairs("parent_asin=id images= videos= details= bought_together= author= subtitle="), text="{description} {features}")),
            _file("meta_*.json (2014, 2018)", "asin", Recipe(_pairs("asin=id imUrl= imageURL= imageURLHighRes= related= also_buy= also_view= similar_item= salesRank= rank= tech1= tech2= fit= details="), text="{description} {feature} {brand}")),
        ),
        "events": (
            _file("*.jsonl or ratings (2023)", "user_id parent_asin rating timestamp", _events("user_id=user parent_asin=item rating=value timestamp=ts asin= title=", constants={"type": "rating"})),
            _file("reviews_*.json (2014, 2018)", "reviewerID asin overall", _events("reviewerID=user asin=item overall=value reviewText=text unixReviewTime=ts", constants={"type": "rating"})),
        ),
    },
    "yelp": {
        "items": (_file("business.json", "business_id name", Recipe(_pairs("business_id=id name=title hours= attributes="), split={"categories": ","}, text="{categories}. {city}")),),
        "events": (
            _file("review.json", "user_id business_id stars", _events("user_id=user business_id=item stars=value date=ts review_id=id", constants={"type": "rating"})),
            _file("tip.json", "user_id business_id text date", _events("user_id=user business_id=item date=ts", constants={"type": "tip"})),
        ),
    },
    "mind": {
        "items": (_file("news.tsv", "id category title", Recipe(_pairs("title_entities= abstract_entities= abstract=text")), names=("id", "category", "subcategory", "title", "abstract", "url", "title_entities", "abstract_entities"), delimiter="\t", quoted=False),),
        "events": (_file("behaviors.tsv", "user history impressions", _events("", constants={"type": "view"}, expand=_mind_events), names=("impression", "user", "ts", "history", "impressions"), delimiter="\t", quoted=False, time_format="mdy"),),
    },
    "steam": {
        "items": (
            _file("steam_games.json", "id app_name", Recipe(_pairs("app_name=title title= url= reviews_url="), text="{genres}. {tags}. {specs}")),
            _file("games.csv", "app_id title", Recipe(_pairs("app_id=id description=text"))),
        ),
        "events": (
            _file("australian_user_reviews.json", "user_id reviews", _events("user_id=user item_id=item review=text", constants={"type": "review"}, expand=_steam_reviews)),
            _file("australian_users_items.json", "user_id items", _events("user_id=user item_id=item playtime_forever=value", constants={"type": "own"}, expand=_steam_libraries)),
            _file("recommendations.csv", "app_id user_id is_recommended", _events("user_id=user app_id=item review_id=id", expand=_steam_reviews)),
            _file("steam_reviews.json", "username product_id", _events("username=user product_id=item", constants={"type": "review"}, expand=_steam_reviews)),
        ),
    },
}  # fmt: skip
"""Name → kind → files; of several that fit, the first."""


def layout_of(name: str, kind: str, source: Source, columns: Sequence[str]) -> Layout:
    """Return the layout of a file with these columns.

    Raises :class:`InvalidInput` if the data set has no such file.
    """
    files = LAYOUTS[name][kind]
    for layout in files:
        if set(layout.needs) <= set(columns):
            return replace(layout, names=())
    for layout in files:
        if layout.names and len(columns) == len(layout.names) and not set(columns) & set(layout.names):
            return layout
    known = "; ".join(f"{layout.file} with {', '.join(layout.needs)}" for layout in files)
    raise InvalidInput(
        f"{source.name!r} is no file of {kind} of {name}: it has {named(columns)}, and known are {known}: "
        f"leave out --format {name} and name the columns with --map"
    )


def published_as(kind: str, columns: Sequence[str]) -> str:
    """Name the data set whose file of this kind has these columns; empty if none has.

    >>> published_as("events", ["userId", "movieId", "rating", "timestamp"]), published_as("items", ["id", "title"])
    ('movielens', '')
    """
    for name, kinds in LAYOUTS.items():
        if any(len(layout.needs) > 1 and set(layout.needs) <= set(columns) for layout in kinds[kind]):
            return name
    return ""
