"""Reads the interests of a user."""

from __future__ import annotations

from llmrec_qdrant.contracts.answers import Interest
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.users import StoredUser, read_user
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Key

__all__ = ["current_interests", "interests_of"]


def interests_of(bound: Bound, user: str) -> Steps[list[Interest]]:
    """Return a user's interests, strongest first, muted ones last; empty if none are known yet."""
    stored = yield from read_user(bound, user)
    return (yield from current_interests(bound, stored))


def current_interests(bound: Bound, user: StoredUser) -> Steps[list[Interest]]:
    """Return the stored interests in topics that still exist, with current labels and the user's steering.

    The weights of those that are not muted add up to 1.
    """
    points = [point_id("topic", interest.topic) for interest in user.interests]
    topics = yield from calls.retrieve(
        bound.space.topics, points, [Key.TOPIC_ID, Key.LABEL, Key.KEYWORDS], remember=True
    )
    labels = {topic.payload[Key.TOPIC_ID]: topic.payload[Key.LABEL] for topic in topics}
    keywords = {topic.payload[Key.TOPIC_ID]: topic.get(Key.KEYWORDS, []) for topic in topics}
    steers = {interest.topic: float(user.steering.get(interest.topic, 1.0)) for interest in user.interests}
    known = [interest for interest in user.interests if interest.topic in labels]
    whole = sum(interest.weight for interest in known if steers[interest.topic] > 0)
    current = [
        interest.model_copy(
            update={
                "label": labels[interest.topic],
                "keywords": keywords[interest.topic],
                "steer": steers[interest.topic],
                "weight": min(interest.weight / whole, 1.0) if whole and steers[interest.topic] > 0 else 0.0,
            }
        )
        for interest in known
    ]
    return sorted(current, key=lambda interest: interest.steer == 0)
