"""Heartbeat of a trial space: tells others that its owner is alive."""

from __future__ import annotations

from qdrant_client import QdrantClient

from llmrec_qdrant.errors import SpaceNotFound
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.space.layout import TRIAL

from ..storage.store import SpaceStore, Store

__all__ = ["beat", "last_beat", "mark"]


def mark() -> dict[str, dict[str, str]]:
    """Metadata that makes a space a trial space, with a heartbeat of this moment."""
    return {TRIAL: {"at": now()}}


def beat(copy: SpaceStore) -> None:
    """Renew the heartbeat; the owner of a trial space calls this every few minutes at least."""
    Store(copy.client, copy.space.versioned("items")).update_metadata(mark())


def last_beat(client: QdrantClient, collection: str) -> str | None:
    """Time of the last heartbeat; None for a collection that is not a trial's, or was deleted meanwhile."""
    try:
        stored = Store(client, collection).metadata().get(TRIAL)
    except SpaceNotFound:
        return None
    return stored["at"] if stored else None
