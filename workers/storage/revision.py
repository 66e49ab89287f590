"""The revision of a user: changes with every reason to refresh the user, and guards the refresh's write."""

from __future__ import annotations

import uuid

from qdrant_client import models

from llmrec_qdrant.space.layout import FRESH, Key

from .store import SpaceStore

__all__ = ["mark_users_stale"]


def mark_users_stale(space: SpaceStore, which: models.Filter) -> None:
    """Mark the matching users stale under a new revision, so that a refresh based on older data is discarded."""
    space.users.set_payload({**FRESH, Key.REVISION: uuid.uuid4().hex}, which)
