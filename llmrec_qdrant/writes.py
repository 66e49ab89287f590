"""Operations that write: items, events, deletions. Durable in Qdrant first, then a hint to the workers.

A write owns the source (text, own fields, events); a worker owns what is derived from it (vectors,
terms, popularity). ``src_hash`` and ``stale`` are where they meet: a writer sets both, and a worker
clears ``stale`` only while the hash is still the one it encoded.
"""

from __future__ import annotations

import hashlib
import re
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel
from qdrant_client import models

from llmrec_qdrant import admin, layout
from llmrec_qdrant.admin import Bound
from llmrec_qdrant.contracts import (
    EmbedItems,
    EmbedTexts,
    Event,
    Item,
    Message,
    Receipt,
    Reconcile,
    RefreshUsers,
    Rejected,
    SpaceConfig,
    show,
)
from llmrec_qdrant.effects import Send, Steps, call
from llmrec_qdrant.errors import BrokerUnavailable, InvalidInput, PartlyRejected, SpaceNotFound, WorkPendingWarning
from llmrec_qdrant.fields import check_payload
from llmrec_qdrant.ids import point_id
from llmrec_qdrant.layout import WORK, Key, Space
from llmrec_qdrant.versions import on_every_version

__all__ = [
    "configure",
    "digest",
    "mark_users",
    "query_text",
    "reconcile",
    "store_events",
    "store_items",
    "track",
    "upsert_items",
]

BATCH = 256
"""Points per request."""
BATCH_SIZE = 4_000_000
"""Characters per request: Qdrant refuses bodies over 32 MB."""
MESSAGE = 64
"""Users per message: a unit of work of about a second, so that a kill costs little."""
ITEMS_MESSAGE = 256
"""Items per message: seconds, too, and enough texts to sort by length, which saves a third of the encoding."""

T = TypeVar("T")
ItemLike = Item | Mapping[str, Any]
EventLike = Event | Mapping[str, Any]

# A condition that no point fulfils: an upsert under it inserts new points and leaves existing ones alone.
NEVER = models.Filter(must=[models.HasIdCondition(has_id=[])])


def batches(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most ``size``."""
    iterator = iter(things)
    while batch := list(islice(iterator, size)):
        yield batch


def many(given: Iterable[T]) -> Iterable[T]:
    """``given``, unless it is a single thing, which would be taken apart.

    Raises :class:`InvalidInput`.
    """
    what: object = given
    if isinstance(what, str | bytes | Mapping | BaseModel) or not isinstance(what, Iterable):
        raise InvalidInput(f"give a list, also of a single one: [{show(what)}]")
    return given


def by_size(things: Iterable[T], size: Callable[[T], int], most: int = BATCH_SIZE) -> Iterator[list[T]]:
    """Consecutive lists whose sizes add up to at most ``most``, or of a single thing."""
    batch: list[T] = []
    total = 0
    for one in things:
        if batch and total + size(one) > most:
            yield batch
            batch, total = [], 0
        batch.append(one)
        total += size(one)
    if batch:
        yield batch


def digest(*parts: str | None) -> str:
    """Digest of what a vector is made from. The id is among the parts, so digests of two points differ."""
    return hashlib.sha256("\x1f".join(part or "" for part in parts).encode("utf-8", "replace")).hexdigest()[:32]


def iso(moment: datetime) -> str:
    """UTC, in the form that Qdrant indexes and people read."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def timestamp(stored: str) -> float:
    """Unix seconds of what :func:`iso` made."""
    return datetime.fromisoformat(stored).timestamp()


def now() -> str:
    """This moment."""
    return iso(datetime.now(UTC))


def notify(messages: Iterable[Message]) -> Steps[bool]:
    """Send hints; False, and a warning, if the queue did not take them."""
    for message in messages:
        try:
            yield Send(message)
        except BrokerUnavailable as error:
            warnings.warn(f"work is pending: {error}", WorkPendingWarning, stacklevel=2)
            return False
    return True


def read_all(given: Iterable[Any], read: Callable[[Any], T], name: str) -> tuple[list[T], list[Rejected]]:
    """Every input that can be read, and why the others cannot; ``name`` is the field with the id."""
    good: list[T] = []
    bad: list[Rejected] = []
    for position, one in enumerate(given):
        try:
            good.append(read(one))
        except InvalidInput as error:
            label = one.get(name) if isinstance(one, Mapping) else getattr(one, name, None)
            bad.append(Rejected(position=position, id=None if label is None else str(label)[:80], reason=str(error)))
    return good, bad


def _refuse(receipt: Receipt, what: str) -> None:
    if receipt.rejected:
        first = receipt.rejected[0]
        raise PartlyRejected(
            f"{len(receipt.rejected)} of the {what} were refused, {receipt.written + receipt.unchanged} are stored; "
            f"first: number {first.position} ({first.id!r}): {first.reason}",
            receipt,
        )


# --- items ---------------------------------------------------------------------------------------


def upsert_items(bound: Bound, given: Iterable[ItemLike]) -> Steps[Receipt]:
    """Store items and ask for their vectors.

    Good items are stored whatever stands beside them. Raises :class:`PartlyRejected`, with the receipt,
    if some were refused.
    """
    total = Receipt()
    for batch in batches(many(given), BATCH):
        items, rejected = read_all(batch, lambda one: _accepted(bound, Item.parse(one)), "id")
        done, stale = yield from store_items(bound, items)
        queued = yield from notify(EmbedItems(space=bound.space.name, ids=ids) for ids in batches(stale, ITEMS_MESSAGE))
        done = done.model_copy(update={"rejected": rejected, "queued": queued})
        total = add(total, done)
    _refuse(total, "items")
    return total


def add(total: Receipt, part: Receipt) -> Receipt:
    """Two receipts as one; positions of the second go on after the first."""
    offset = total.written + total.unchanged + total.duplicates + len(total.rejected)
    moved = [one.model_copy(update={"position": one.position + offset}) for one in part.rejected]
    return Receipt(
        written=total.written + part.written,
        unchanged=total.unchanged + part.unchanged,
        duplicates=total.duplicates + part.duplicates,
        textless=total.textless + part.textless,
        rejected=total.rejected + moved,
        queued=total.queued and part.queued,
    )


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


WORKERS_OWN = frozenset(
    {
        Key.TOPICS,
        Key.TOPIC_IDS,
        Key.FIT,
        Key.TERMS,
        Key.POPULARITY,
        Key.COLLAB_SINCE,
        Key.STALE,
        Key.MODEL,
        Key.LEGS,
        Key.EMBEDDED_AT,
        *WORK,
    }
)
FRESH: dict[str, Any] = {Key.STALE: True, Key.ATTEMPTS: 0, Key.LEASE: None, Key.SET_ASIDE: False}
"""What a new source says of the work on it: all of it is still to do."""


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


def only(*points: str) -> models.Filter:
    """As a filter, missing points are no error."""
    return models.Filter(must=[models.HasIdCondition(has_id=list(points))])


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


# --- events --------------------------------------------------------------------------------------


def track(bound: Bound, given: Iterable[EventLike]) -> Steps[Receipt]:
    """Store events and ask for their users' vectors to be refreshed.

    Raises :class:`PartlyRejected`, with the receipt, if some were refused; the others are stored.
    """
    total = Receipt()
    for batch in batches(many(given), BATCH):
        events, rejected = read_all(batch, Event.parse, "user")
        done, users = yield from store_events(bound, events)
        queued = yield from notify(RefreshUsers(space=bound.space.name, ids=ids) for ids in batches(users, MESSAGE))
        total = add(total, done.model_copy(update={"rejected": rejected, "queued": queued}))
    _refuse(total, "events")
    return total


def store_events(bound: Bound, events: Sequence[Event]) -> Steps[tuple[Receipt, list[str]]]:
    """Write one batch of events, their texts, and mark their users; returns the receipt and the users' point ids.

    In this order, so that after a crash in between an event is at worst not folded yet, which reconcile sees.
    """
    total, users = Receipt(), dict[str, None]()
    for part in by_size(events, lambda event: len(event.text)):
        receipt, more = yield from _store_events(bound, part)
        total, users = add(total, receipt), users | dict.fromkeys(more)
    return total, list(users)


def _store_events(bound: Bound, events: Sequence[Event]) -> Steps[tuple[Receipt, list[str]]]:
    latest = {point_id("event", event.event_id, bound.tenant): event for event in events}
    payloads = {point: _event_payload(bound, event) for point, event in latest.items()}
    texts = {
        point: _text_payload(bound, event.user, point, event.text)
        for point, event in latest.items()
        if event.text.strip()
    }
    users = {point_id("user", event.user, bound.tenant): event.user for event in latest.values()}
    yield from _put_unless_same(bound.space.events, payloads)
    yield from on_every_version(bound.space, partial(_store_texts_and_mark, bound, texts, users))
    return Receipt(written=len(latest), duplicates=len(events) - len(latest)), list(users)


def _store_texts_and_mark(
    bound: Bound, texts: Mapping[str, dict[str, Any]], users: Mapping[str, str], version: int
) -> Steps[None]:
    space = bound.space.at(version)
    yield from _put_unless_same(space.texts, texts)
    yield from mark_users(space, bound.tenant, users)


def _event_payload(bound: Bound, event: Event) -> dict[str, Any]:
    fields = {
        Key.EVENT_ID: event.event_id,
        Key.USER_ID: event.user,
        Key.TENANT: bound.tenant or "",
        Key.ITEM_ID: event.item,
        Key.TYPE: event.type,
        Key.VALUE: event.value,
        Key.TEXT: event.text or None,
        Key.TS: iso(event.ts),
        Key.SESSION: event.session,
    }
    kept = {key: value for key, value in fields.items() if value is not None}
    return {**kept, Key.FOLDED: False, Key.SRC_HASH: digest(*(f"{key}={value}" for key, value in kept.items()))}


def _text_payload(bound: Bound, user: str, point: str, text: str) -> dict[str, Any]:
    return {
        Key.USER_ID: user,
        Key.TENANT: bound.tenant or "",
        Key.TEXT: text,
        Key.SRC_HASH: digest(bound.tenant, point, text),
        **FRESH,
        Key.LEGS: [],
    }


def _put_unless_same(collection: str, payloads: Mapping[str, dict[str, Any]]) -> Steps[None]:
    """Insert new points and replace changed ones; a point whose stored hash is the same is left alone."""
    if not payloads:
        return
    hashes = [payload[Key.SRC_HASH] for payload in payloads.values()]
    same = models.FieldCondition(key=Key.SRC_HASH, match=models.MatchAny(any=hashes))
    points = [models.PointStruct(id=point, vector={}, payload=payload) for point, payload in payloads.items()]
    yield from call(
        "upsert", collection_name=collection, points=points, wait=True, update_filter=models.Filter(must_not=[same])
    )


def mark_users(space: Space, tenant: str | None, users: Mapping[str, str]) -> Steps[None]:
    """Make missing users and mark all of them stale under a new revision."""
    revision = uuid.uuid4().hex
    start = {Key.TENANT: tenant or "", **FRESH, Key.REVISION: revision, Key.LEGS: [], Key.SEEN: [], Key.N_EVENTS: 0}
    points = [
        models.PointStruct(id=point, vector={}, payload={Key.USER_ID: name, **start}) for point, name in users.items()
    ]
    mark = models.SetPayload(payload={**FRESH, Key.REVISION: revision}, filter=only(*users))
    yield from call(
        "batch_update_points",
        collection_name=space.users,
        update_operations=[
            models.UpsertOperation(upsert=models.PointsList(points=points, update_filter=NEVER)),
            models.SetPayloadOperation(set_payload=mark),
        ],
        wait=True,
    )


def forget_user(bound: Bound, user: str) -> Steps[int]:
    """Delete a user with all events and texts; returns how many events there were.

    Qdrant keeps deleted data in its storage files until they are rewritten: see docs/operations.md.
    """
    point = point_id("user", user, bound.tenant)
    conditions: list[Any] = [
        models.FieldCondition(key=Key.USER_ID, match=models.MatchValue(value=user)),
        models.FieldCondition(key=Key.TENANT, match=models.MatchValue(value=bound.tenant or "")),
    ]
    mine = models.Filter(must=conditions)
    counted = yield from call("count", collection_name=bound.space.events, count_filter=mine, exact=True)
    yield from _delete(bound.space.events, models.FilterSelector(filter=mine))
    yield from on_every_version(bound.space, partial(_forget_at, bound, mine, point))
    total: int = counted.count
    return total


def _forget_at(bound: Bound, mine: models.Filter, user: str, version: int) -> Steps[None]:
    space = bound.space.at(version)
    yield from _delete(space.texts, models.FilterSelector(filter=mine))
    yield from _delete(space.users, models.PointIdsList(points=[user]))


# --- texts of queries, and the call for help ------------------------------------------------------


def query_text(bound: Bound, text: str) -> Steps[str]:
    """Store the text of a query and ask for its vectors; returns its point id. The same text is encoded once."""
    point = point_id("query", text, bound.tenant)
    yield from _put_unless_same(bound.space.texts, {point: _text_payload(bound, "", point, text)})
    return point


def request_text(bound: Bound, point: str) -> Steps[bool]:
    """Ask a worker to encode one stored text."""
    return (yield from notify([EmbedTexts(space=bound.space.name, ids=[point])]))


def configure(space: Space, wanted: SpaceConfig | None) -> Steps[SpaceConfig]:
    """As :func:`admin.create`; an existing space has the changed settings on every version.

    What they decide is made anew by the reconciler, which compares users and items with the configuration.
    Raises :class:`SpaceMismatch` where the existing vectors were made in another way.
    """
    try:
        before = yield from admin.load_config(space)
    except SpaceNotFound:
        before = None
    config = yield from admin.create(space, wanted)
    if before is not None and before != config:
        yield from on_every_version(space, partial(_configure_at, space, before, config))
        yield from notify([Reconcile(space=space.name)])
    return config


def _configure_at(space: Space, before: SpaceConfig, config: SpaceConfig, version: int) -> Steps[None]:
    """One version keeps what made its vectors, and leg weights that were its own, and gets the rest."""
    at = space.at(version)
    stored = yield from admin.load_config(at)
    kept = [*SpaceConfig.IDENTITY, *(["weights"] if stored.weights != before.weights else [])]
    own = config.model_copy(update={name: getattr(stored, name) for name in kept})
    if own != stored:
        yield from admin.build_collection("items", at.items, own)  # the indexes of new fields
        yield from call("update_collection", collection_name=at.items, metadata=layout.metadata(own))


def reconcile(bound: Bound) -> Steps[bool]:
    """Ask a worker to look for everything that is stale."""
    return (yield from notify([Reconcile(space=bound.space.name, everything=True)]))
