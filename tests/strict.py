"""A Qdrant in strict mode with keys of several rights, and a call of every public method that talks to it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from llmrec_qdrant import Event, Item, Recommender
from llmrec_qdrant.space.layout import COLLECTION_KINDS, Space
from tests.services import QdrantServer

SECRET = "a secret of the server that signs tokens"
READ_ONLY = "a key that may only read"
MAX_QUERY_LIMIT = 100

_STRICT = "QDRANT__STORAGE__COLLECTION__STRICT_MODE__"

CONFIG = {"model": "hash", "size": 16, "fields": {"price": "integer", "plot": "text"}}
T = 1_700_000_000
WORDS = [
    "space",
    "rocket",
    "orbit",
    "moon",
    "star",
    "bread",
    "oven",
    "flour",
    "dough",
    "yeast",
    "garden",
    "tulip",
    "soil",
    "rose",
    "seed",
]


LOW = {
    "MAX_QUERY_LIMIT": "20", "UPSERT_MAX_BATCHSIZE": "7", "CONDITION_MAX_SIZE": "20", "FILTER_MAX_CONDITIONS": "60",
    "SEARCH_ALLOW_EXACT": "false", "SEARCH_MAX_HNSW_EF": "10", "SEARCH_MAX_OVERSAMPLING": "1.0", "MAX_TIMEOUT": "5",
}  # fmt: skip
"""Limits of strict mode within which everything works."""


def strict_server(**limits: str) -> QdrantServer:
    """Managed Qdrant's default, filters on indexed keys only, with a small limit of points per query; every request needs a key."""
    env = {
        f"{_STRICT}ENABLED": "true", f"{_STRICT}UNINDEXED_FILTERING_RETRIEVE": "false",
        f"{_STRICT}UNINDEXED_FILTERING_UPDATE": "false", f"{_STRICT}MAX_QUERY_LIMIT": str(MAX_QUERY_LIMIT),
        "QDRANT__SERVICE__JWT_RBAC": "true", "QDRANT__SERVICE__READ_ONLY_API_KEY": READ_ONLY,
        **{f"{_STRICT}{name}": value for name, value in limits.items()},
    }  # fmt: skip
    return QdrantServer(api_key=SECRET, env=env)


def token(access: Any) -> str:
    """Return a JSON Web Token that grants this access, signed as Qdrant checks it (HS256)."""
    parts = [_encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, {"access": access})]
    signed = hmac.new(SECRET.encode(), ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, _encoded(signed)])


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def for_aliases(space: str) -> str:
    """Return a token for the names that stay the same, aliases and plain collections, to read and write."""
    return token([{"collection": Space(space).alias(kind), "access": "rw"} for kind in COLLECTION_KINDS])


def fill(rec: Recommender, items: int = 300) -> None:
    """Store more of everything than one query may return."""
    rec.create(CONFIG)
    rec.upsert_items(
        [
            Item(id=f"i{n}", title=f"{WORDS[n % 15]} {WORDS[(n * 7 + 1) % 15]}", payload={"price": n})
            for n in range(items)
        ]
    )
    kinds = ("view", "like", "purchase")
    rec.track(
        [Event(user=f"u{k}", item=f"i{(k * 13 + j * j) % items}", type=kinds[j % 3], ts=T + j * 1000 + k) for k in range(110) for j in range(6)]
        + [Event(user="u1", type="search", text="rocket moon", ts=T)]
    )  # fmt: skip
    rec.load_events([Event(user="big", item=f"i{n % 250}", type="view", ts=T + n) for n in range(400)])
    rec.reconcile()


CALLS: Mapping[str, Callable[[Recommender], Any]] = {
    "create": lambda rec: rec.create({"fields": {"lang": "keyword"}}),
    "config": lambda rec: rec.config,
    "status": lambda rec: rec.status(),
    "upsert_items": lambda rec: rec.upsert_items([Item(id="new", title="rocket")]),
    "update_items": lambda rec: rec.update_items([{"id": "i1", "payload": {"price": 3}}]),
    "get_items": lambda rec: rec.get_items([f"i{n}" for n in range(300)]),
    "iter_items": lambda rec: list(rec.iter_items(filter={"price": {"lt": 250}})),
    "users": lambda rec: list(rec.users()),
    "events": lambda rec: rec.events("big"),
    "track": lambda rec: rec.track([Event(user="u2", item="i9", type="like", ts=T)]),
    "load_events": lambda rec: rec.load_events([Event(user="u3", item="i9", type="like", ts=T)]),
    "reconcile": lambda rec: rec.reconcile(),
    "recommend": lambda rec: rec.recommend("u1", 50, explain="evidence", diversity=0.3),
    "request": lambda rec: rec.request("big"),
    "top": lambda rec: rec.top(250),
    "recommend_many": lambda rec: list(rec.recommend_many(["u1", "u2", "nobody"], 100)),
    "recommend_from": lambda rec: rec.recommend_from(["i1"], ["i2"], 100),
    "similar_items": lambda rec: rec.similar_items("i1", 100),
    "similar_users": lambda rec: rec.similar_users("u1"),
    "search": lambda rec: rec.search("rocket moon", "u1", 60),
    "fit_topics": lambda rec: rec.fit_topics(5).wait(),
    "topics": lambda rec: rec.topics(),
    "interests": lambda rec: rec.interests("u1"),
    "shelves": lambda rec: rec.shelves("u1"),
    "steer": lambda rec: rec.steer("u1", rec.topics()[0].id, 0.0),
    "explain": lambda rec: rec.explain("u1", rec.recommend("u1", 1)[0].id),
    "why_not": lambda rec: rec.why_not("u1", "i299"),
    "portrait": lambda rec: rec.portrait("u1"),
    "blurb": lambda rec: rec.blurb("u1", "i5"),
    "visualize_topics": lambda rec: rec.visualize_topics(),
    "visualize_interests": lambda rec: rec.visualize_interests("u1"),
    "visualize_item": lambda rec: rec.visualize_item("i5"),
    "report": lambda rec: rec.report(),
    "topic_items": lambda rec: rec.topic_items(rec.topics()[0].id),
    "rename_topic": lambda rec: rec.rename_topic(rec.topics()[0].id, "New name"),
    "split_topic": lambda rec: rec.split_topic(rec.topics()[0].id).wait(),
    "merge_topics": lambda rec: rec.merge_topics([topic.id for topic in rec.topics()[:2]]).wait(),
    "tune": lambda rec: rec.tune(users=50, minutes=0.1, dry_run=True).wait(),
    "train": lambda rec: rec.train(epochs=1, users=50).wait(),
    "jobs": lambda rec: rec.jobs(),
    "job": lambda rec: rec.job("fit-topics-1").progress(),
    "reembed": lambda rec: rec.reembed(size=32).wait(),
    "rollback": lambda rec: rec.rollback(),
    "clean_up": lambda rec: rec.clean_up(),
    "failures": lambda rec: rec.failures(),
    "retry": lambda rec: rec.retry(),
    "remove_events": lambda rec: rec.remove_events(user="big"),
    "delete_items": lambda rec: rec.delete_items(["i3"]),
    "forget_user": lambda rec: rec.forget_user("u4"),
    "traces_of": lambda rec: rec.traces_of("u4"),
}
"""Method → a call of it; in an order in which each has something to do."""
