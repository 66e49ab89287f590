"""What recommenders answer: lists, topics, interests, receipts and status."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from llmrec_qdrant.contracts.checks import Contract
from llmrec_qdrant.errors import InvalidInput

__all__ = [
    "Failure",
    "Interest",
    "PartlyRejected",
    "Receipt",
    "Recommendation",
    "Rejected",
    "Shelf",
    "SimilarUser",
    "SpaceStatus",
    "Topic",
]


Seen = bool | Literal["but_last"]
"""Whether a list leaves out the items its user has seen: True, False, or all but the item of the latest event."""


class Recommendation(Contract):
    """One line of a list of items."""

    id: str = Field(description="The item's id.")
    score: float = Field(description="Fused score; comparable within one list only.")
    title: str = ""
    payload: dict[str, JsonValue] = Field(default_factory=dict, description="Your own fields of the item.")
    legs: dict[str, float] = Field(default_factory=dict, description="Score per leg, with explain=True.")
    reason: str = Field(default="", description="Why, in words, with explain=True and for a fallback.")
    topics: list[str] = Field(default_factory=list, description="Labels of the item's topics.")


class SimilarUser(Contract):
    """One line of a list of users."""

    id: str
    score: float
    terms: list[str] = Field(default_factory=list, description="The user's strongest words.")


MAX_TOPICS = 200
"""Topics of one space and tenant."""

MIN_TOPIC_ITEMS = 10
"""Encoded items of one tenant below which no topics are fitted."""

MAX_LABEL = 60
"""Characters in the label of a topic."""

MAX_BOOST = 4.0
"""Largest weight that steering can give a topic."""

MAX_BOOSTED = 8
"""Topics that one user may boost: each repeats all legs in the query."""


class Topic(Contract):
    """What a group of items is about."""

    id: str = Field(description="Stays the same through refits, as long as the topic exists.")
    label: str = Field(description="Short and readable; yours if you edited it.")
    keywords: list[str] = Field(default_factory=list, description="Strongest first.")
    size: int = Field(default=0, ge=0, description="Items in it when topics were last fitted.")
    examples: list[str] = Field(default_factory=list, description="Titles of the items nearest to its centroid.")
    label_by: Literal["keywords", "llm", "admin"] = Field(default="keywords", description="Who named it.")
    tenant: str = Field(default="", description="Owner of the items, where one space serves several.")


class Interest(Contract):
    """One topic that a user cares about now."""

    topic: str = Field(description="Id of the topic.")
    label: str
    keywords: list[str] = Field(default_factory=list)
    weight: float = Field(ge=0, le=1, description="Share of the user's attention; all interests add up to 1.")
    trend: Literal["rising", "steady", "fading"] = "steady"
    items: list[str] = Field(default_factory=list, description="Ids of the items that show it, strongest first.")
    titles: dict[str, str] = Field(
        default_factory=dict, description="Titles of these items, by id, where they have one."
    )
    last_at: datetime = Field(description="Last event about it.")
    steer: float = Field(default=1.0, description="What the user set: 0 muted, above 1 boosted.")


class Shelf(Contract):
    """One row of recommendations: an interest and items for it."""

    interest: Interest
    title: str = Field(description="Why this row is here, in words.")
    items: list[Recommendation] = Field(default_factory=list)


class Rejected(Contract):
    """One refused input: where it stood (from 0, or a line number), its id if it had one, and why."""

    position: int
    id: str | None = None
    reason: str


class Receipt(Contract):
    """The outcome of a batch of writes. What it counts as written is durable in Qdrant."""

    written: int = Field(default=0, description="Stored, new or changed.")
    unchanged: int = Field(default=0, description="Already stored exactly like this.")
    duplicates: int = Field(default=0, description="Replaced by a later input with the same id in the batch.")
    textless: int = Field(default=0, description="Stored without any text: only behaviour can recommend them.")
    rejected: list[Rejected] = Field(default_factory=list)
    queued: bool = Field(
        default=True, description="False: the queue did not take the messages; reconcile will find the work."
    )


class SpaceStatus(Contract):
    """Counts from Qdrant itself, so they hold after any crash."""

    space: str
    model: str
    items: int
    items_stale: int = Field(description="Waiting for a worker.")
    items_unreadable: int = Field(
        description="Encoded, but without a dense vector: no text, or none that the model can read."
    )
    users: int
    users_stale: int
    events: int
    events_unfolded: int
    texts: int
    texts_stale: int
    set_aside: int = Field(description="Items, users and texts that failed too often; `llmrec jobs --failed`.")


class Failure(Contract):
    """Something that was set aside."""

    kind: Literal["item", "user", "text"]
    id: str
    version: int
    reason: str


class PartlyRejected(InvalidInput):
    """Some inputs of a batch were refused; all others are stored.

    ``receipt`` counts what was stored, ``receipt.rejected`` names each refused input and why.
    """

    def __init__(self, message: str, receipt: Receipt) -> None:
        super().__init__(message)
        self.receipt = receipt
