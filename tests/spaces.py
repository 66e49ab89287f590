"""Spaces for tests: a fresh name each, dropped afterwards."""

from __future__ import annotations

import uuid

from llmrec_qdrant import Recommender
from llmrec_qdrant.layout import KINDS


def fresh_name() -> str:
    """A space name nobody else uses."""
    return f"t{uuid.uuid4().hex[:12]}"


def drop(rec: Recommender) -> None:
    """Delete the collections of a space, and close."""
    for kind in KINDS:
        rec._client.delete_collection(rec._space.versioned(kind))
    rec.close()
