"""A space of two tenants: red, whose view is tested, and blue, of whom red must see nothing."""

from __future__ import annotations

from typing import Any

from llmrec_qdrant import Event, Item, Recommender
from llmrec_qdrant.space.layout import COLLECTION_KINDS

CONFIG = {"model": "hash", "size": 16, "fields": {"shelf": "keyword", "price": "integer"}}
SECRETS = ("plutonium", "zirconium", "hidden-item", "hidden-user", "hidden-shelf")
"""Words, ids and values that only blue has."""
T = 1_700_000_000


def bound_to(operator: Recommender, tenant: str) -> Recommender:
    """The same connection, bound to a tenant."""
    return Recommender(operator.client, operator._queue, operator.space, tenant)


def fill(operator: Recommender, tenant: str, word: str, item: str, user: str, **fields: Any) -> None:
    """Store items, events and a search of a tenant."""
    operator.upsert_items(
        [Item(id=f"{item}{n}", title=f"space {word} {n}", payload=fields, tenant=tenant) for n in range(15)]
    )
    rec = bound_to(operator, tenant)
    rec.track([Event(user=user, item=f"{item}{n}", type="like", ts=T + n) for n in range(5)])
    rec.track(
        [Event(user=f"{user}x", item=f"{item}{n}", type="like", ts=T + n, id=f"{item}-event{n}") for n in range(3)]
    )
    rec.search(f"{word} rockets")


def fill_both(operator: Recommender) -> None:
    """Create the space, and store items, users, searches and topics of both tenants."""
    operator.create(CONFIG)
    fill(operator, "red", "rocket", "m", "ann")
    fill(operator, "blue", "plutonium zirconium", "hidden-item", "hidden-user1", shelf="hidden-shelf")
    operator.fit_topics(2)


def stored_for(operator: Recommender, tenant: str) -> dict[tuple[str, Any], Any]:
    """Everything that the collections hold for a tenant, read with the Qdrant client."""
    found = {}
    for kind in COLLECTION_KINDS:
        points, _ = operator.client.scroll(
            operator._space.alias(kind), limit=10_000, with_payload=True, with_vectors=True
        )
        found |= {
            (kind, point.id): point.model_dump() for point in points if (point.payload or {}).get("tenant") == tenant
        }
    return found
