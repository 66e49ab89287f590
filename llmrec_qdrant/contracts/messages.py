"""TODO: llmrec_qdrant.contracts.messages."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from llmrec_qdrant.contracts.answers import MAX_TOPICS
from llmrec_qdrant.contracts.checks import Contract

__all__ = [
    "EmbedItems",
    "EmbedTexts",
    "FitCollab",
    "FitTopics",
    "Message",
    "Migrate",
    "Reconcile",
    "RefreshUsers",
    "Train",
]


MAX_BATCH = 1_000
"""Point ids in one job message."""


class Message(Contract):
    """A hint to a worker: names and ids, never texts. Losing one changes nothing but latency."""

    task: ClassVar[str]
    queue: ClassVar[str]

    v: Literal[1] = 1
    space: str = Field(min_length=1, max_length=100)


PointIds = Annotated[list[str], Field(min_length=1, max_length=MAX_BATCH)]


class EmbedItems(Message):
    """Encode these item points: dense and tfidf legs."""

    task = "llmrec.embed_items"
    queue = "encode"
    ids: PointIds


class EmbedTexts(Message):
    """Encode these free texts: searches, reviews, queries."""

    task = "llmrec.embed_texts"
    queue = "refresh"
    ids: PointIds


class RefreshUsers(Message):
    """Fold the events of these user points into their vectors."""

    task = "llmrec.refresh_users"
    queue = "refresh"
    ids: PointIds


class FitCollab(Message):
    """Rebuild the collab leg and the popularity of items from events."""

    task = "llmrec.fit_collab"
    queue = "batch"
    ids: list[str] = Field([], max_length=MAX_BATCH, description="Item points; left out: every item.")


class FitTopics(Message):
    """Find the topics of all items, name them, and give every item its topic."""

    task = "llmrec.fit_topics"
    queue = "batch"
    topics: int | None = Field(None, ge=2, le=MAX_TOPICS, description="How many; left out: as many as the items show.")
    resume: bool = Field(
        False, description="Go on with the last fit where it was interrupted; nothing to do if it was not."
    )


class Train(Message):
    """Take up the training that the space was asked for, where nobody is at it."""

    task = "llmrec.train"
    queue = "encode"


class Migrate(Message):
    """Take the filling version of a space one step further."""

    task = "llmrec.migrate"
    queue = "batch"


class Reconcile(Message):
    """Find what is stale from Qdrant alone and enqueue it."""

    task = "llmrec.reconcile"
    queue = "batch"
    everything: bool = Field(False, description="Also what has been announced a moment ago.")


MESSAGES: tuple[type[Message], ...] = (
    EmbedItems,
    EmbedTexts,
    FitCollab,
    FitTopics,
    Migrate,
    Reconcile,
    RefreshUsers,
    Train,
)
