"""Builds the update operations that give a stored item or text a new source."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from qdrant_client import models

from llmrec_qdrant.space.conditions import only
from llmrec_qdrant.space.layout import FRESH, WORKERS_OWN, Key
from llmrec_qdrant.space.points import Point, nested, set_payload

__all__ = ["edits", "same_text"]


def edits(stored: Point, source: Mapping[str, Any], passed: Collection[str] | None = None) -> list[Any]:
    """Return the operations that give a stored point a new source; empty if it has this source already.

    ``source`` holds the keys of the flat payload that a write owns; the keys that workers own keep their values. ``passed``:
    the keys of texts and own fields that are written, the others are left alone (None: the whole source is written). A field
    that is set to null is removed, which Qdrant makes of a null anyway. Qdrant applies
    one operation at a time, and a crash in between must not leave a new text with old vectors. So a point whose text changes
    is first marked stale and given a digest that no worker has read, then gets the text, and is marked stale again: a worker
    that has encoded the old text writes nothing.
    """
    before = {key: value for key, value in stored.payload.items() if key not in WORKERS_OWN and value is not None}
    source = {key: value for key, value in source.items() if value is not None}
    if before == source:
        return []
    condition = only(stored.id)
    gone = sorted(before.keys() - source.keys())
    if any(not re.fullmatch(r"(bookkeeping\.)?[\w-]+", key) for key in gone):  # no Qdrant path can name such a key
        derived = {key: value for key, value in stored.payload.items() if key in WORKERS_OWN}
        whole = models.SetPayload(payload=nested({**source, **derived, **FRESH}), filter=condition)
        return [models.OverwritePayloadOperation(overwrite_payload=whole)]
    operations: list[Any] = []
    if same_text(before, source):  # the text is left alone: somebody else may have changed it since it was read
        changed = {key: value for key, value in source.items() if key not in before or before[key] != value}
        operations += set_payload(changed, condition)
    else:
        operations += set_payload({Key.SRC_HASH: uuid.uuid4().hex, Key.STALE: True}, condition)
        texts_and_fields = (
            source if passed is None else {key: source[key] for key in (*passed, Key.SRC_HASH) if key in source}
        )
        operations += set_payload({**texts_and_fields, **FRESH}, condition)
    if gone:
        removal = models.DeletePayload(keys=gone, filter=condition)
        operations.append(models.DeletePayloadOperation(delete_payload=removal))
    return operations


def same_text(stored: Mapping[str, Any], source: Mapping[str, Any]) -> bool:
    """Whether two flat payloads have the same text.

    Equal digests are not enough: two simultaneous writes may leave the text of one and the digest of the other.
    """
    return all(stored.get(key) == source.get(key) for key in (Key.SRC_HASH, Key.TITLE, Key.TEXT))
