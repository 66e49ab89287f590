"""Moves the weights that users have given to topics, where a topic has become part of another."""

from __future__ import annotations

from qdrant_client import models

from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import Key

from ..storage.store import SpaceStore

__all__ = ["move_weights"]


def move_weights(space: SpaceStore, remains: str, gone: list[str]) -> None:
    """Give each user of a version the weight of the topics that are ``gone`` for the one that ``remains``. May be repeated.

    Reads all users, since weights have no index. One request moves a weight, so a user without events is never without it.
    """
    for page in space.users.pages(None, [Key.STEER]):
        operations = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(payload=weights, filter=conditions.only(user.id), key=Key.STEER)
            )
            for user in page
            if (weights := moved(user.get(Key.STEER, {}), remains, gone))
        ]
        if operations:
            space.users.update(operations)


def moved(steering: dict[str, float], remains: str, gone: list[str]) -> dict[str, float]:
    """Return the weights to store with a user; 1 resets a topic. Empty if nothing moves.

    A weight of the topic that remains stays; otherwise the first one in the order of ``gone`` counts.

    >>> moved({"7": 0.0, "9": 2.0, "1": 3.0}, "3", ["7", "9"])
    {'3': 0.0, '7': 1.0, '9': 1.0}
    >>> moved({"3": 2.0, "7": 0.0}, "3", ["7"])
    {'3': 2.0, '7': 1.0}
    """
    left = [topic for topic in gone if steering.get(topic, 1) != 1]
    if not left:
        return {}
    weight = steering.get(remains, 1)
    return {remains: steering[left[0]] if weight == 1 else weight, **dict.fromkeys(left, 1.0)}
