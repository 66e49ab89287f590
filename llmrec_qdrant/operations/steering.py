"""Mutes or boosts a topic for a user."""

from __future__ import annotations

from functools import partial

from qdrant_client import models

from llmrec_qdrant.contracts.answers import MAX_BOOST, MAX_BOOSTED, Interest
from llmrec_qdrant.contracts.checks import external_id
from llmrec_qdrant.contracts.messages import RefreshUsers
from llmrec_qdrant.contracts.plain import plain
from llmrec_qdrant.errors import InvalidInput, show
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.events import marking
from llmrec_qdrant.operations.interests import interests_of
from llmrec_qdrant.operations.steps import Steps, notify
from llmrec_qdrant.operations.topics import find_topic
from llmrec_qdrant.operations.users import read_user
from llmrec_qdrant.operations.versions import on_every_version
from llmrec_qdrant.space.conditions import only
from llmrec_qdrant.space.layout import Key

__all__ = ["steer"]


def steer(bound: Bound, user: str, topic: str, weight: float) -> Steps[list[Interest]]:
    """Store how much of a topic a user wants; weight 1 resets it. Returns the user's interests.

    Raises :class:`NotFound` for an unknown topic, :class:`InvalidInput` for a weight out of range or too many boosted
    topics.
    """
    value: object = plain(weight)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_BOOST:
        raise InvalidInput(f"a weight must lie between 0 (muted) and {MAX_BOOST:g}, with 1 neutral, not {show(value)}")
    user = external_id(user)
    known = yield from find_topic(bound, topic)
    stored = yield from read_user(bound, user)
    boosted = [other for other, weight in stored.steering.items() if weight > 1 and other != known.id]
    if value > 1 and len(boosted) >= MAX_BOOSTED:
        raise InvalidInput(f"{user!r} already boosts {MAX_BOOSTED} topics: set the weight of one of them to 1 first")
    weights = {known.id: float(value)}
    marked = yield from on_every_version(bound.space, partial(_steer_at, bound, user, stored.point, weights))
    if marked:  # a user without events: the refresh clears the stale mark, since there is nothing to fold
        yield from notify([RefreshUsers(space=bound.space.name, ids=[stored.point])])
    return (yield from interests_of(bound, user))


def _steer_at(bound: Bound, user: str, point: str, weights: dict[str, float], version: int) -> Steps[bool]:
    """Set the weight of one topic only, so that simultaneous calls keep each other's weights.

    A worker deletes a user who has neither events nor weights. So such a user gets a new revision in the same request: a
    worker that has not seen the weight deletes nothing. Returns whether the user must be refreshed.
    """
    users = bound.space.at(version).users
    stored = yield from calls.retrieve(users, [point], [Key.N_EVENTS])
    eventless = not any(known.get(Key.N_EVENTS) for known in stored)
    marks = marking(bound.tenant, {point: user}, weights) if eventless else []
    inside = models.SetPayload(payload=weights, filter=only(point), key=Key.STEER)
    yield from calls.update(users, [*marks, models.SetPayloadOperation(set_payload=inside)])
    return eventless
