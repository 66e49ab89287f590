"""Stores free texts: those that users write, and those they search for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmrec_qdrant.contracts.messages import EmbedTexts
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.clock import now, timestamp
from llmrec_qdrant.operations.steps import Steps, notify
from llmrec_qdrant.space.conditions import none_of, one_of, only
from llmrec_qdrant.space.ids import digest
from llmrec_qdrant.space.layout import Key, new_text
from llmrec_qdrant.space.points import Point, new_point

__all__ = ["put_unless_same", "renew_query", "request_text", "store_query", "text_payload"]

SECONDS_PER_DAY = 86_400


def text_payload(bound: Bound, user: str, point: str, text: str) -> dict[str, Any]:
    """Return the payload of a text that waits for its vectors; ``user`` is empty for a search of nobody in particular."""
    return new_text(
        {
            Key.TEXT: text,
            Key.USER_ID: user,
            Key.TENANT: bound.owner,
            Key.SRC_HASH: digest(bound.tenant, point, text),
        }
    )


def put_unless_same(collection: str, payloads: Mapping[str, dict[str, Any]]) -> Steps[None]:
    """Insert new points and replace changed ones; a point with the same digest is left alone."""
    points = [new_point(point, payload) for point, payload in payloads.items()]
    digests = [payload[Key.SRC_HASH] for payload in payloads.values()]
    yield from calls.upsert(collection, points, none_of(one_of(Key.SRC_HASH, digests)))


def store_query(bound: Bound, point: str, text: str, user: str | None = None) -> Steps[None]:
    """Store a search text under its point id; the same text is encoded only once."""
    payload = {**text_payload(bound, user or "", point, text), Key.SEARCHED_AT: now()}
    yield from put_unless_same(bound.space.texts, {point: payload})


def renew_query(bound: Bound, stored: Point) -> Steps[None]:
    """Keep a stored search text for longer, since it is searched for again; written once a day at most."""
    before = stored.get(Key.SEARCHED_AT)
    if before and timestamp(now()) - timestamp(before) > SECONDS_PER_DAY:
        yield from calls.update_payload(bound.space.texts, {Key.SEARCHED_AT: now()}, only(stored.id))


def request_text(bound: Bound, point: str) -> Steps[bool]:
    """Ask a worker to encode a stored text; False if the queue did not accept the message."""
    return (yield from notify([EmbedTexts(space=bound.space.name, ids=[point])]))
