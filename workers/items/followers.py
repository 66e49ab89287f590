"""Marks the users stale whose vectors depend on newly encoded items and texts."""

from __future__ import annotations

from collections.abc import Sequence

from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point

from ..storage.align import is_query
from ..storage.revision import mark_users_stale
from ..storage.store import SpaceStore

__all__ = ["mark_authors", "wake_waiting"]


def wake_waiting(space: SpaceStore, items: Sequence[Point]) -> None:
    """Mark the users stale who were waiting for items that now have their first vectors.

    ``items`` are the points as they were before encoding.
    """
    by_tenant: dict[str, list[str]] = {}
    for item in items:
        if not item.get(Key.LEGS):
            by_tenant.setdefault(item.get(Key.TENANT, ""), []).append(item.payload[Key.ITEM_ID])
    for tenant, ids in by_tenant.items():
        waiting = conditions.where(conditions.equals(Key.TENANT, tenant), conditions.one_of(Key.WAITING, ids))
        mark_users_stale(space, waiting)


def mark_authors(space: SpaceStore, texts: Sequence[Point]) -> list[str]:
    """Mark the authors of these texts stale, but for texts of searches; returns the authors' point ids, sorted."""
    authors = {
        point_id("user", text.payload[Key.USER_ID], text.get(Key.TENANT) or None)
        for text in texts
        if not is_query("texts", text)
    }
    if authors:
        mark_users_stale(space, conditions.only(*authors))
    return sorted(authors)
