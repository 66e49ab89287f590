"""Operations that write: items, events, deletions. Durable in Qdrant first, then a hint to the workers.

A write owns the source (text, own fields, events); a worker owns what is derived from it (vectors,
terms, popularity). ``src_hash`` and ``stale`` are where they meet: a writer sets both, and a worker
clears ``stale`` only while the hash is still the one it encoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from qdrant_client import models

from llmrec_qdrant.contracts.answers import Receipt
from llmrec_qdrant.contracts.entities import Item
from llmrec_qdrant.contracts.messages import EmbedItems
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.operations.batching import BATCH, _refuse, add, batches, by_size, many, read_all
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.steps import Steps, call, notify
from llmrec_qdrant.operations.versions import on_every_version
from llmrec_qdrant.query.fields import check_payload
from llmrec_qdrant.space.conditions import NEVER, only
from llmrec_qdrant.space.ids import digest, point_id
from llmrec_qdrant.space.layout import FRESH, WORKERS_OWN, Key

__all__ = ["store_items", "upsert_items"]


ITEMS_MESSAGE = 256
"""Items per message: seconds, too, and enough texts to sort by length, which saves a third of the encoding."""


ItemLike = Item | Mapping[str, Any]


def upsert_items(bound: Bound, given: Iterable[ItemLike], announce: bool = True) -> Steps[Receipt]:
    """Store items and, with ``announce``, ask workers for their vectors.

    Good items are stored whatever stands beside them. Raises :class:`PartlyRejected`, with the receipt,
    if some were refused.
    """
    total = Receipt()
    for batch in batches(many(given), BATCH):
        items, rejected = read_all(batch, lambda one: _accepted(bound, Item.parse(one)), "id")
        done, stale = yield from store_items(bound, items)
        messages = (EmbedItems(space=bound.space.name, ids=ids) for ids in batches(stale, ITEMS_MESSAGE))
        queued = (yield from notify(messages)) if announce else not stale
        done = done.model_copy(update={"rejected": rejected, "queued": queued})
        total = add(total, done)
    _refuse(total, "items")
    return total


def _accepted(bound: Bound, item: Item) -> Item:
    """The item as this space stores it, if it fits in."""
    check_payload(item.payload, bound.config.fields)
    if bound.tenant is None or item.tenant == bound.tenant:
        return item
    if item.tenant is None:
        return item.model_copy(update={"tenant": bound.tenant})
    raise InvalidInput(f"Item: 'tenant': {item.tenant!r} is not the tenant this recommender is bound to")


def _item_payload(item: Item) -> dict[str, Any]:
    return {
        Key.ITEM_ID: item.id,
        Key.TENANT: item.tenant or "",
        Key.TITLE: item.title,
        Key.TEXT: item.text,
        **item.payload,
        Key.SRC_HASH: digest(item.tenant, item.id, item.title, item.text),
    }


def store_items(bound: Bound, items: Sequence[Item]) -> Steps[tuple[Receipt, list[str]]]:
    """Write one batch; returns the receipt and the point ids that need vectors."""
    total, stale = Receipt(), list[str]()
    for part in by_size(items, lambda item: len(item.title) + len(item.text)):
        receipt, more = yield from on_every_version(bound.space, partial(_store_items_at, bound, part))
        total, stale = add(total, receipt), stale + more
    return total, stale


def _store_items_at(bound: Bound, items: Sequence[Item], version: int) -> Steps[tuple[Receipt, list[str]]]:
    collection = bound.space.at(version).items
    latest = {point_id("item", item.id, item.tenant): item for item in items}
    found = yield from call("retrieve", collection_name=collection, ids=list(latest), with_payload=True)
    stored: dict[str, dict[str, Any]] = {str(record.id): record.payload or {} for record in found}
    fresh: list[models.PointStruct] = []
    changes: list[Any] = []
    stale: list[str] = []
    unchanged = 0
    for point, item in latest.items():
        payload = _item_payload(item)
        if point not in stored:
            start = {**payload, **FRESH, Key.POPULARITY: 0.0, Key.LEGS: []}
            fresh.append(models.PointStruct(id=point, vector={}, payload=start))
            stale.append(point)
            continue
        operations = edits(point, stored[point], payload)
        changes += operations
        unchanged += not operations
        if stored[point].get(Key.STALE) or stored[point].get(Key.SRC_HASH) != payload[Key.SRC_HASH]:
            stale.append(point)
    if fresh:
        yield from call("upsert", collection_name=collection, points=fresh, wait=True, update_filter=NEVER)
    if changes:
        yield from call("batch_update_points", collection_name=collection, update_operations=changes, wait=True)
    receipt = Receipt(
        written=len(latest) - unchanged,
        unchanged=unchanged,
        duplicates=len(items) - len(latest),
        textless=sum(not item.source for item in latest.values()),
    )
    return receipt, stale


def edits(point: str, stored: Mapping[str, Any], payload: dict[str, Any]) -> list[Any]:
    """Operations that turn the stored source into ``payload``; what workers own stays untouched."""
    mine = {key: value for key, value in stored.items() if key not in WORKERS_OWN}
    if mine == payload:
        return []
    new_text = {} if mine.get(Key.SRC_HASH) == payload[Key.SRC_HASH] else FRESH
    operations: list[Any] = [
        models.SetPayloadOperation(set_payload=models.SetPayload(payload={**payload, **new_text}, filter=only(point)))
    ]
    gone = sorted(mine.keys() - payload.keys())
    if any(not re.fullmatch(r"[\w-]+", key) for key in gone):  # no path of Qdrant names such a key
        kept = {key: value for key, value in stored.items() if key in WORKERS_OWN}
        whole = models.SetPayload(payload={**kept, **payload, **FRESH}, filter=only(point))
        return [models.OverwritePayloadOperation(overwrite_payload=whole)]
    if gone:
        removal = models.DeletePayload(keys=gone, filter=only(point))
        operations.append(models.DeletePayloadOperation(delete_payload=removal))
    return operations


def delete_items(bound: Bound, ids: Iterable[str]) -> Steps[int]:
    """Delete items with their vectors; returns how many there were. Events about them stay."""
    deleted = 0
    for batch in batches((point_id("item", one, bound.tenant) for one in dict.fromkeys(ids)), BATCH):
        deleted += yield from on_every_version(bound.space, partial(_delete_items_at, bound, batch))
    return deleted


def _delete_items_at(bound: Bound, points: Sequence[str], version: int) -> Steps[int]:
    collection = bound.space.at(version).items
    counted = yield from call("count", collection_name=collection, count_filter=only(*points), exact=True)
    yield from _delete(collection, models.PointIdsList(points=list(points)))
    total: int = counted.count
    return total


def _delete(collection: str, which: models.PointIdsList | models.FilterSelector) -> Steps[None]:
    yield from call("delete", collection_name=collection, points_selector=which, wait=True)
