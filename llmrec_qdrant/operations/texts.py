"""TODO: llmrec_qdrant.operations.texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qdrant_client import models

from llmrec_qdrant.contracts.messages import EmbedTexts
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.steps import Steps, call, notify
from llmrec_qdrant.space.ids import digest, point_id
from llmrec_qdrant.space.layout import FRESH, Key

__all__ = ["query_text"]


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


def query_text(bound: Bound, text: str) -> Steps[str]:
    """Store the text of a query and ask for its vectors; returns its point id. The same text is encoded once."""
    point = point_id("query", text, bound.tenant)
    yield from _put_unless_same(bound.space.texts, {point: _text_payload(bound, "", point, text)})
    return point


def request_text(bound: Bound, point: str) -> Steps[bool]:
    """Ask a worker to encode one stored text."""
    return (yield from notify([EmbedTexts(space=bound.space.name, ids=[point])]))
