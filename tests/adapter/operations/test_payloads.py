"""Points as an admin sees them in Qdrant's Web UI, which shows the answer of `POST /points/scroll` in its order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from tests.spaces import drop, fresh_name

pytestmark = pytest.mark.qdrant

CONFIG = SpaceConfig(model="hash", size=32, fields={"year": "integer"})
FILMS = [("m1", "Solaris", "an ocean on a distant planet"), ("m2", "Stalker", "a journey into the zone"),
         ("m3", "Mirror", "a childhood in fragments")]  # fmt: skip

ITEM = ["item_id", "title", "text", "year", "topics", "topic_ids", "terms", "popularity", "tenant", "bookkeeping"]
USER = ["user_id", "interests", "recent", "terms", "steer", "n_events", "updated_at", "tenant", "bookkeeping"]
EVENT = ["user_id", "type", "item_id", "ts", "event_id", "tenant", "bookkeeping"]
TEXT = ["text", "user_id", "terms", "tenant", "bookkeeping"]
TOPIC = [
    "label",
    "keywords",
    "size",
    "theme",
    "examples",
    "topic_id",
    "updated_at",
    "label_by",
    "tenant",
    "bookkeeping",
]


@pytest.fixture
def rec(qdrant_url: str) -> Iterator[Recommender]:
    made = Recommender.connect(qdrant_url, space=fresh_name())
    made.create(CONFIG)
    yield made
    drop(made)


def seen_in_the_web_ui(url: str, collection: str) -> list[dict[str, Any]]:
    """Payloads with their keys in the order of the server's answer."""
    answer = httpx.post(f"{url}/collections/{collection}/points/scroll", json={"with_payload": True}, timeout=30)
    return [point["payload"] for point in json.loads(answer.raise_for_status().text)["result"]["points"]]


def test_what_people_read_comes_first_and_bookkeeping_last(rec: Recommender, qdrant_url: str) -> None:
    space = rec._space
    rec.upsert_items([Item(id=id, title=title, text=text, payload={"year": 1975}) for id, title, text in FILMS])
    rec.track([Event(user="ann", item=id, type="view", ts=1_700_000_000 + k) for k, (id, *_) in enumerate(FILMS)])
    rec.reconcile()
    for _ in range(2):  # after the first refresh, and after edits and another one
        for payload in seen_in_the_web_ui(qdrant_url, space.items):
            assert list(payload) == ITEM
            assert payload["bookkeeping"]["stale"] is False and payload["terms"]
            assert payload["bookkeeping"]["model"] == "hash (32 dimensions, max 256 tokens, mean)"
        (user,) = seen_in_the_web_ui(qdrant_url, space.users)
        assert list(user) == USER
        assert [event["title"] for event in user["recent"]][:3] == ["Mirror", "Stalker", "Solaris"]
        assert user["bookkeeping"]["seen"] == ["m3", "m2", "m1"]
        assert all(list(payload) == EVENT for payload in seen_in_the_web_ui(qdrant_url, space.events))
        rec.upsert_items([Item(id="m1", title="Solaris", text="an ocean that thinks", payload={"year": 1972})])
        rec.track([Event(user="ann", item="m3", type="view", ts=1_700_000_002)])
        rec.reconcile()


def test_texts_and_topics_are_readable_first_too(rec: Recommender, qdrant_url: str) -> None:
    space = rec._space
    words = {"space": "rocket orbit planet galaxy", "food": "soup bread pepper salad"}
    rec.upsert_items(Item(id=f"{kind}{k}", title=f"{text} {k}") for kind, text in words.items() for k in range(20))
    rec.track([Event(user="ann", item="food1", type="review", text="the best soup and bread", ts=1_700_000_000)])
    rec.fit_topics(2)
    rec.reconcile()
    (text,) = seen_in_the_web_ui(qdrant_url, space.texts)
    assert list(text) == TEXT and "soup" in text["terms"] and text["bookkeeping"]["stale"] is False
    topics = seen_in_the_web_ui(qdrant_url, space.topics)
    assert [list(topic) for topic in topics] == [TOPIC, TOPIC]
    (user,) = seen_in_the_web_ui(qdrant_url, space.users)
    assert list(user) == USER
    (interest,) = user["interests"]
    assert list(interest)[:5] == ["label", "weight", "trend", "keywords", "items"]
    assert interest["items"] == [{"id": "food1", "title": "soup bread pepper salad 1"}]
