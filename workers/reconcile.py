"""What Qdrant holds against what it should hold → the messages that close the gap."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from qdrant_client import QdrantClient

from llmrec_qdrant.contracts import EmbedItems, EmbedTexts, FitCollab, Message, RefreshUsers
from llmrec_qdrant.effects import drive
from llmrec_qdrant.ids import point_id
from llmrec_qdrant.jobs import NoQueue
from llmrec_qdrant.layout import COLLAB_FIT, Key, Space
from llmrec_qdrant.translate import translated
from llmrec_qdrant.writes import ITEMS_MESSAGE, MESSAGE, batches, mark_users
from workers import store

__all__ = ["collab_due", "reconcile", "spaces"]

GROWTH = 1.1
"""The collab leg is rebuilt when there are this many times the events or items it was fitted on."""


def reconcile(client: QdrantClient, space: Space) -> Iterator[Message]:
    """Messages for everything that is stale, found in Qdrant alone."""
    for ids in _stale(client, space.items, ITEMS_MESSAGE):
        yield EmbedItems(space=space.name, ids=ids)
    for ids in _stale(client, space.texts):
        yield EmbedTexts(space=space.name, ids=ids)
    _mark_users_of_unfolded_events(client, space)
    for ids in _stale(client, space.users):
        yield RefreshUsers(space=space.name, ids=ids)
    if collab_due(client, space):
        yield FitCollab(space=space.name)


def _stale(client: QdrantClient, collection: str, size: int = MESSAGE) -> Iterator[list[str]]:
    for page in store.scroll(client, collection, store.where(store.stale()), False):
        yield from batches((str(record.id) for record in page), size)


def _mark_users_of_unfolded_events(client: QdrantClient, space: Space) -> None:
    """An event was stored, but its writer died before it could mark the user."""
    unfolded = store.where(store.equals(Key.FOLDED, False))
    for page in store.scroll(client, space.events, unfolded, [Key.USER_ID, Key.TENANT]):
        owners = {
            point_id("user", payload[Key.USER_ID], payload.get(Key.TENANT) or None): payload
            for record in page
            if (payload := record.payload or {})
        }
        with translated():
            found = client.retrieve(space.users, list(owners), with_payload=[Key.STALE])
        known = {str(record.id): bool((record.payload or {}).get(Key.STALE)) for record in found}
        lagging = [point for point, stale in known.items() if not stale]
        if lagging:
            with translated():
                client.set_payload(
                    space.users,
                    {Key.STALE: True, Key.REVISION: uuid.uuid4().hex},
                    points=store.where(store.has_id(*lagging)),
                    wait=True,
                )
        _make_users(client, space, {point: owner for point, owner in owners.items() if point not in known})


def _make_users(client: QdrantClient, space: Space, owners: dict[str, dict[str, str]]) -> None:
    by_tenant: dict[str, dict[str, str]] = {}
    for point, owner in owners.items():
        by_tenant.setdefault(owner.get(Key.TENANT) or "", {})[point] = owner[Key.USER_ID]
    for tenant, users in by_tenant.items():
        drive(mark_users(space, tenant or None, users), client, NoQueue())


def collab_due(client: QdrantClient, space: Space) -> bool:
    """Whether enough events, or items that events may be about, have come since the collab leg was fitted."""
    with translated():
        metadata = client.get_collection(space.items).config.metadata or {}
    fitted = metadata.get(COLLAB_FIT) or {}
    events, items = store.count(client, space.events), store.count(client, space.items)
    return events > GROWTH * int(fitted.get("events") or 0) or (
        events > 0 and items > GROWTH * int(fitted.get("items") or 0)
    )


def spaces(client: QdrantClient) -> list[Space]:
    """Every space in this Qdrant."""
    with translated():
        aliases = client.get_aliases().aliases
    return [space for one in aliases if (space := Space.of_alias(one.alias_name)) is not None]
