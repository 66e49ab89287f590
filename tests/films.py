"""A small catalogue of films, and users who watched some, for tests of what users see."""

from __future__ import annotations

from typing import Any

from llmrec_qdrant import (
    Event,
    Item,
    Recommendation,
    Recommender,
    SpaceConfig,
)
from llmrec_qdrant.space.ids import point_id
from tests.spaces import fresh_name, merged

CONFIG = SpaceConfig(model="hash", size=64, fields={"year": "integer", "lang": "keyword"})
DAY = 86_400
T0 = 1_700_000_000
FILMS = [
    ("m1", "Interstellar", "astronauts cross a wormhole to find a planet", 2014, "en"),
    ("m2", "The Martian", "an astronaut stranded on planet Mars grows potatoes", 2015, "en"),
    ("m3", "Gravity", "two astronauts adrift in space after an accident", 2013, "en"),
    ("m4", "Chef", "a cook opens a food truck and cooks sandwiches", 2014, "en"),
    ("m5", "Julie & Julia", "a blogger cooks every recipe of a French cook book", 2009, "en"),
    ("m6", "Ratatouille", "a rat cooks French recipes in a Paris restaurant", 2007, "en"),
    ("m7", "流浪地球", "科幻电影：人类推动地球离开太阳系", 2019, "zh"),
    ("m8", "舌尖上的中国", "纪录片：中国各地的美食与厨师", 2012, "zh"),
]


def items() -> list[Item]:
    return [
        Item(id=i, title=title, text=text, payload={"year": year, "lang": lang}) for i, title, text, year, lang in FILMS
    ]


def history(user: str, *ids: str, start: int = T0, kind: str = "view") -> list[Event]:
    return [Event(user=user, item=i, type=kind, ts=start + k * DAY) for k, i in enumerate(ids)]


def connect(where: dict[str, str], **more: Any) -> Recommender:
    return Recommender.connect(**where, space=fresh_name(), **more)


def watched(rec: Recommender) -> None:
    rec.track([*history("ann", "m1", "m2"), *history("bob", "m1", "m2", "m3"), *history("cat", "m4", "m5", "m6")])
    rec.reconcile()


def payload(rec: Recommender, item: str) -> dict[str, Any]:
    (found,) = rec._client.retrieve(rec._space.items, [point_id("item", item)], with_payload=True)
    return merged(found.payload)


def user_payload(rec: Recommender, user: str) -> dict[str, Any]:
    (found,) = rec._client.retrieve(rec._space.users, [point_id("user", user)], with_payload=True)
    return merged(found.payload)


def scored(listed: list[Recommendation]) -> list[tuple[str, float]]:
    """Ids with scores up to the last digits, in which embedded Qdrant varies from call to call."""
    return [(one.id, round(one.score, 6)) for one in listed]
