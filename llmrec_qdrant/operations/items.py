"""Stores and deletes items: first durably in Qdrant, then as a message to the workers.

A write owns the source (texts and own fields); a worker owns what is derived from it (vectors, terms, popularity). Both use
``src_hash`` and ``stale``: a write sets them, and a worker clears ``stale`` only if the hash is still the one it encoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from qdrant_client import models

from llmrec_qdrant.contracts.answers import Receipt
from llmrec_qdrant.contracts.entities import Item
from llmrec_qdrant.contracts.messages import EmbedItems
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.batching import (
    POINTS_PER_REQUEST,
    add,
    batches,
    by_size,
    check_many,
    raise_rejected,
    read_all,
)
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.steps import Steps, notify
from llmrec_qdrant.operations.versions import on_every_version
from llmrec_qdrant.query.fields import check_payload
from llmrec_qdrant.space.conditions import NEVER, only
from llmrec_qdrant.space.edits import edits, same_text
from llmrec_qdrant.space.ids import digest, point_id
from llmrec_qdrant.space.layout import Key, new_item
from llmrec_qdrant.space.points import Point, new_point

__all__ = ["ITEMS_PER_MESSAGE", "ItemLike", "checked_tenant", "delete_items", "store_items", "upsert_items"]

ITEMS_PER_MESSAGE = 256
"""Items per message: a few seconds of work, and enough texts to sort by length, which saves a third of the encoding."""

ItemLike = Item | Mapping[str, Any]


def upsert_items(bound: Bound, items: Iterable[ItemLike], announce: bool = True) -> Steps[Receipt]:
    """Store items and, with ``announce``, ask workers to encode them.

    Raises :class:`PartlyRejected`, with the receipt, if some items were refused; the others are stored.
    """
    total = Receipt()
    for batch in batches(check_many(items), POINTS_PER_REQUEST):
        parsed, rejected = read_all(batch, lambda item: _accepted(bound, Item.parse(item)), "id")
        receipt, stale = yield from store_items(bound, parsed)
        messages = (EmbedItems(space=bound.space.name, ids=ids) for ids in batches(stale, ITEMS_PER_MESSAGE))
        queued = (yield from notify(messages)) if announce else not stale
        total = add(total, receipt.model_copy(update={"rejected": rejected, "queued": queued}))
    raise_rejected(total, "items")
    return total


def _accepted(bound: Bound, item: Item) -> Item:
    """Return the item with its tenant.

    Raises :class:`InvalidInput` if a value does not fit its field, or the item belongs to another tenant.
    """
    check_payload(item.payload, bound.config.fields)
    if bound.tenant is None or item.tenant == bound.tenant:
        return item
    if item.tenant is None:
        return item.model_copy(update={"tenant": bound.tenant})
    raise InvalidInput(
        f"Item: 'tenant': {item.tenant!r} is not {bound.tenant!r}, the tenant this recommender is bound to"
    )


def checked_tenant(tenant: str | None) -> str | None:
    """Return ``tenant`` if it is None or a valid tenant name.

    Raises :class:`InvalidInput` otherwise.
    """
    return None if tenant is None else Item(id="x", tenant=tenant).tenant


def store_items(bound: Bound, items: Sequence[Item]) -> Steps[tuple[Receipt, list[str]]]:
    """Write one batch; returns the receipt and the ids of the points that must be encoded."""
    total, stale = Receipt(), list[str]()
    for part in by_size(items, lambda item: len(item.title) + len(item.text)):
        receipt, more = yield from on_every_version(bound.space, partial(_store_part_at, bound, part))
        total, stale = add(total, receipt), stale + more
    return total, stale


@dataclass
class _Writes:
    """The changes that a batch makes to one version."""

    new: list[models.PointStruct] = field(default_factory=list)
    changes: list[Any] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    unchanged: int = 0

    def add(self, point: str, source: dict[str, Any], stored: Point | None) -> None:
        if stored is None:
            self.new.append(new_point(point, new_item(source)))
            self.stale.append(point)
            return
        operations = edits(stored, source)
        self.changes += operations
        self.unchanged += not operations
        if stored.get(Key.STALE) or not same_text(stored.payload, source):
            self.stale.append(point)


def _store_part_at(bound: Bound, items: Sequence[Item], version: int) -> Steps[tuple[Receipt, list[str]]]:
    collection = bound.space.at(version).items
    latest = {point_id("item", item.id, item.tenant): item for item in items}
    stored = {point.id: point for point in (yield from calls.retrieve(collection, latest))}
    writes = _Writes()
    for point, item in latest.items():
        writes.add(point, item_source(item), stored.get(point))
    yield from calls.upsert(collection, writes.new, NEVER)
    yield from calls.update(collection, writes.changes)
    receipt = Receipt(
        written=len(latest) - writes.unchanged,
        unchanged=writes.unchanged,
        duplicates=len(items) - len(latest),
        textless=sum(not item.source for item in latest.values()),
    )
    return receipt, writes.stale


def item_source(item: Item) -> dict[str, Any]:
    """Return the part of an item's payload that a write owns, in reading order."""
    return {
        Key.ITEM_ID: item.id,
        Key.TITLE: item.title,
        Key.TEXT: item.text,
        **item.payload,
        Key.TENANT: item.tenant or "",
        Key.SRC_HASH: digest(item.tenant, item.id, item.title, item.text),
    }


def delete_items(bound: Bound, items: Iterable[str]) -> Steps[int]:
    """Delete items with their vectors; returns how many existed. Events about them stay."""
    deleted = 0
    for batch in batches(bound.item_points(items), POINTS_PER_REQUEST):
        deleted += yield from on_every_version(bound.space, partial(_delete_at, bound, batch))
    return deleted


def _delete_at(bound: Bound, points: Sequence[str], version: int) -> Steps[int]:
    collection = bound.space.at(version).items
    existing = yield from calls.count(collection, only(*points))
    yield from calls.delete(collection, only(*points))
    return existing
