"""The heartbeat of a trial space, which shows that its owner is alive."""

from __future__ import annotations

from qdrant_client import QdrantClient

from llmrec_qdrant.errors import SpaceNotFound
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.space.layout import TRIAL

from ..storage.store import SpaceStore, Store

__all__ = ["beat", "last_beat", "mark"]


def mark() -> dict[str, dict[str, str]]:
    """Return the metadata that marks a trial space, with a heartbeat of now."""
    return {TRIAL: {"at": now()}}


def beat(copy: SpaceStore) -> None:
    """Renew the heartbeat; the owner of a trial space calls this at least every few minutes."""
    Store(copy.client, copy.space.versioned("items")).update_metadata(mark())


def last_beat(client: QdrantClient, collection: str) -> str | None:
    """Return the time of the last heartbeat; None if the collection is no trial's, or was deleted meanwhile."""
    try:
        stored = Store(client, collection).metadata().get(TRIAL)
    except SpaceNotFound:
        return None
    beat_at = stored.get("at") if isinstance(stored, dict) else None
    return beat_at if isinstance(beat_at, str) else None
