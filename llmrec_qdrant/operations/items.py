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
from llmrec_qdrant.contracts.config import FieldKind
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
from llmrec_qdrant.query.fields import check_payload, words_of
from llmrec_qdrant.space.conditions import NEVER, only
from llmrec_qdrant.space.edits import edits, same_text
from llmrec_qdrant.space.ids import digest, point_id
from llmrec_qdrant.space.layout import Key, new_item, own_fields
from llmrec_qdrant.space.points import Point, new_point

__all__ = ["ITEMS_PER_MESSAGE", "ItemLike", "delete_items", "update_items", "upsert_items"]

ITEMS_PER_MESSAGE = 256
"""Items per message: a few seconds of work, and enough texts to sort by length, which saves a third of the encoding."""

ItemLike = Item | Mapping[str, Any]


def upsert_items(
    bound: Bound, items: Iterable[ItemLike], announce: bool = True, replace: bool = False
) -> Steps[Receipt]:
    """Store items and, with ``announce``, ask workers to encode them.

    Of a stored item, title, text and own fields that are not passed keep their values, unless ``replace``.
    Raises :class:`PartlyRejected`, with the receipt, if some items were refused; the others are stored.
    """
    total = Receipt()
    for batch in batches(check_many(items), POINTS_PER_REQUEST):
        parsed, rejected = read_all(batch, lambda item: _accepted(bound, Item.parse(item)), "id")
        receipt, stale = yield from _store(bound, parsed, replace)
        messages = (EmbedItems(space=bound.space.name, ids=ids) for ids in batches(stale, ITEMS_PER_MESSAGE))
        queued = (yield from notify(messages)) if announce else not stale
        total = add(total, receipt.model_copy(update={"rejected": rejected, "queued": queued}))
    raise_rejected(total, "items")
    return total


def update_items(bound: Bound, items: Iterable[ItemLike]) -> Steps[Receipt]:
    """Change own fields of stored items; nothing is encoded again.

    Raises :class:`PartlyRejected` if some items are unknown or come with a title or text; the others are changed.
    """
    total = Receipt()
    for batch in batches(check_many(items), POINTS_PER_REQUEST):
        known = yield from _known(bound, batch)
        parsed, rejected = read_all(batch, partial(_fields_only, bound, known), "id")
        receipt, _ = yield from _store(bound, parsed, replace=False, create=False)
        total = add(total, receipt.model_copy(update={"rejected": rejected}))
    raise_rejected(total, "items")
    return total


def _known(bound: Bound, items: Sequence[ItemLike]) -> Steps[set[str]]:
    """Return the points of these items that exist; what is no item is refused later."""
    parsed, _ = read_all(items, lambda item: _accepted(bound, Item.parse(item)), "id")
    wanted = [point_id("item", item.id, item.tenant) for item in parsed]
    return {point.id for point in (yield from calls.retrieve(bound.space.items, wanted, payload=False))}


def _fields_only(bound: Bound, known: set[str], value: ItemLike) -> Item:
    """Return an item that is stored, and comes without texts.

    Raises :class:`InvalidInput` otherwise.
    """
    item = _accepted(bound, Item.parse(value))
    if texts := sorted({"title", "text"} & item.model_fields_set):
        raise InvalidInput(f"update_items changes own fields only, not {' or '.join(texts)}: pass it to upsert_items")
    if point_id("item", item.id, item.tenant) not in known:
        raise InvalidInput(f"there is no item {item.id!r}: upsert_items stores new items")
    return item


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


def _store(bound: Bound, items: Sequence[Item], replace: bool, create: bool = True) -> Steps[tuple[Receipt, list[str]]]:
    """Write one batch; returns the receipt and the ids of the points that must be encoded."""
    total, stale = Receipt(), list[str]()
    for part in by_size(items, lambda item: len(item.title) + len(item.text)):
        batch = _Batch(bound, part, replace, create)
        receipt, more = yield from on_every_version(bound.space, batch.write_at)
        total, stale = add(total, receipt), stale + more
    return total, stale


@dataclass
class _Writes:
    """The changes that a batch makes to one version."""

    new: list[models.PointStruct] = field(default_factory=list)
    changes: list[Any] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    unchanged: int = 0
    textless: int = 0


class _Batch:
    """Items to write to every version of a space; later items with the same id change earlier ones."""

    def __init__(self, bound: Bound, items: Sequence[Item], replace: bool, create: bool) -> None:
        self._bound = bound
        self._replace = replace
        self._create = create
        self._count = len(items)
        self._latest: dict[str, Item] = {}
        for item in items:
            point = point_id("item", item.id, item.tenant)
            earlier = None if replace else self._latest.get(point)
            self._latest[point] = item if earlier is None else _combined(earlier, item)

    def write_at(self, version: int) -> Steps[tuple[Receipt, list[str]]]:
        """Write to one version; returns the receipt and the points that must be encoded."""
        collection = self._bound.space.at(version).items
        writes = yield from self._compare(collection, self._latest)
        yield from calls.upsert(collection, writes.new, NEVER)
        yield from calls.update(collection, writes.changes)
        if not self._replace:  # another writer may have stored the same new item first: then this batch changes it
            lost = yield from self._compare(collection, [str(point.id) for point in writes.new])
            yield from calls.update(collection, lost.changes)
        receipt = Receipt(
            written=len(self._latest) - writes.unchanged,
            unchanged=writes.unchanged,
            duplicates=self._count - len(self._latest),
            textless=writes.textless,
        )
        return receipt, writes.stale

    def _compare(self, collection: str, points: Iterable[str]) -> Steps[_Writes]:
        wanted = list(points)
        stored = {point.id: point for point in (yield from calls.retrieve(collection, wanted))}
        writes = _Writes()
        for point in wanted:
            if self._create or point in stored:
                self._add(writes, point, stored.get(point))
        return writes

    def _add(self, writes: _Writes, point: str, stored: Point | None) -> None:
        item = self._latest[point]
        fields = self._bound.config.fields
        source = item_source(item, fields) if stored is None or self._replace else _merged(item, stored, fields)
        writes.textless += not (source[Key.TITLE].strip() or source[Key.TEXT].strip())
        if stored is None:
            writes.new.append(new_point(point, new_item(source)))
            writes.stale.append(point)
            return
        operations = edits(stored, source, None if self._replace else _passed(item, fields))
        writes.changes += operations
        writes.unchanged += not operations
        if stored.get(Key.STALE) or not same_text(stored.payload, source):
            writes.stale.append(point)


def _combined(earlier: Item, later: Item) -> Item:
    """Return an item with what the later of two inputs passes, and else what the earlier one does."""
    passed = {name: getattr(later, name) for name in later.model_fields_set}
    return earlier.model_copy(update=passed | {"payload": {**earlier.payload, **later.payload}})


def _merged(item: Item, stored: Point, fields: Mapping[str, FieldKind]) -> dict[str, Any]:
    """Return the source of a stored item after a write: what the item does not pass keeps its stored value."""
    kept = {"title": stored.get(Key.TITLE, ""), "text": stored.get(Key.TEXT, "")}
    kept = {name: value for name, value in kept.items() if name not in item.model_fields_set}
    whole = {"payload": {**own_fields(stored.payload), **item.payload}}
    return item_source(item.model_copy(update={**kept, **whole}), fields)


def _passed(item: Item, fields: Mapping[str, FieldKind]) -> set[str]:
    """Return the payload keys that the caller passed, and those of their words."""
    texts = {name: key for name, key in {"title": Key.TITLE, "text": Key.TEXT}.items() if name in item.model_fields_set}
    payload = {**{key: getattr(item, name) for name, key in texts.items()}, **item.payload}
    return payload.keys() | words_of(payload, fields).keys()


def item_source(item: Item, fields: Mapping[str, FieldKind]) -> dict[str, Any]:
    """Return the part of an item's payload that a write owns, in reading order; ``fields``: those of the space."""
    return {
        Key.ITEM_ID: item.id,
        Key.TITLE: item.title,
        Key.TEXT: item.text,
        **item.payload,
        Key.TENANT: item.tenant or "",
        Key.SRC_HASH: digest(item.tenant, item.id, item.title, item.text),
        **words_of({Key.TITLE: item.title, Key.TEXT: item.text, **item.payload}, fields),
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
