"""Keeps what a language model wrote in ``{space}_texts``, with a digest of its evidence.

A refusal is kept as a text without words: the same model is not asked again for the same evidence.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.space.conditions import only
from llmrec_qdrant.space.layout import Key, new_text
from llmrec_qdrant.space.points import new_point

__all__ = ["Place", "is_settled", "keep", "read"]


@dataclass(frozen=True)
class Place:
    """Where a text is kept, and what it rests on."""

    point: str
    digest: str
    """Changes with the evidence and the language."""
    user: str = ""
    """The user that it is about; "" for texts about topics."""
    owner: str = ""
    """Tenant."""


def read(bound: Bound, places: Collection[Place]) -> Steps[dict[str, str]]:
    """Return point → text, of the texts that rest on exactly this evidence; a list remembers them."""
    current = {place.point: place.digest for place in places}
    points = yield from calls.retrieve(bound.space.texts, list(current), [Key.TEXT, Key.SRC_HASH], remember=True)
    return {
        point.id: str(point.get(Key.TEXT, ""))
        for point in points
        if point.get(Key.SRC_HASH) == current[point.id] and point.get(Key.TEXT)
    }


def is_settled(bound: Bound, place: Place, model: str) -> Steps[bool]:
    """Whether there is a text for this evidence, or this model's text was refused."""
    points = yield from calls.retrieve(bound.space.texts, [place.point], [Key.TEXT, Key.SRC_HASH, Key.MODEL])
    return any(
        point.get(Key.SRC_HASH) == place.digest and bool(point.get(Key.TEXT) or point.get(Key.MODEL) == model)
        for point in points
    )


def keep(bound: Bound, place: Place, text: str, model: str = "") -> Steps[bool]:
    """Store a text, or "" for a refusal, unless its user was forgotten meanwhile; returns whether it is stored.

    Forgetting deletes the user before the texts: whoever writes a text and then finds the user has not written too late.
    """
    values = new_text(
        {
            Key.TEXT: text,
            Key.USER_ID: place.user,
            Key.TENANT: place.owner,
            Key.SRC_HASH: place.digest,
            Key.SEARCHED_AT: now(),
        }
    )
    point = new_point(place.point, {**values, Key.STALE: False, Key.MODEL: model})
    yield from calls.upsert(bound.space.texts, [point])
    if not place.user or (yield from calls.retrieve(bound.space.users, [bound.user_point(place.user)], False)):
        return True
    yield from calls.delete(bound.space.texts, only(place.point))
    return False
