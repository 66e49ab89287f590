"""What a recommender returns: lists, topics, interests, receipts and status."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from llmrec_qdrant.contracts.checks import Contract
from llmrec_qdrant.contracts.evidence import Evidence
from llmrec_qdrant.errors import InvalidInput

__all__ = [
    "Failure",
    "Interest",
    "Language",
    "Moved",
    "PartlyRejected",
    "Receipt",
    "Recommendation",
    "Rejected",
    "Shelf",
    "SimilarUser",
    "SpaceStatus",
    "Topic",
    "Words",
]


Seen = bool | Literal["but_last"]
"""Which seen items a list leaves out: all (True), none (False), or all but the item of the latest event."""


Explain = bool | Literal["evidence"]
"""What a list says about its items: nothing (False), or what the score is made of and a reason (True; "evidence" means the same)."""

Language = Literal["en", "zh"]
"""Language of a text about a user."""


Rerank = Literal["llm"] | None
"""Who puts the first items of a list in order after Qdrant."""


class Recommendation(Contract):
    """One item of a list, with its score."""

    id: str = Field(description="The item's id.")
    score: float = Field(description="Fused score; comparable within one list only.")
    title: str = ""
    payload: dict[str, JsonValue] = Field(default_factory=dict, description="Your own fields of the item.")
    legs: dict[str, float] = Field(
        default_factory=dict, description="Score per leg, 0 in a list that no leg made; filled with explain=True."
    )
    reason: str = Field(
        default="", description="Why the item is listed, in words; filled with explain=True and in fallback lists."
    )
    topics: list[str] = Field(default_factory=list, description="Labels of the item's topics.")
    evidence: Evidence | None = Field(default=None, description="What adds up to the score; filled with explain=True.")


class SimilarUser(Contract):
    """One user of a list, with the score."""

    id: str
    score: float
    terms: list[str] = Field(default_factory=list, description="The user's strongest words.")


MAX_TOPICS = 200
"""Topics of one space and tenant."""

MIN_TOPIC_ITEMS = 10
"""Encoded items of one tenant below which no topics are fitted."""

MAX_LABEL = 60
"""Characters in the label of a topic."""

POPULAR = "popular: "
"""How the reason of a list of popular items begins; why the list is not a personal one follows."""
MAX_BOOST = 4.0
"""Largest weight that steering can give a topic."""

MAX_BOOSTED = 8
"""Topics that one user may boost: each boost repeats all legs in the query."""


LabelBy = Literal["keywords", "llm", "admin"]


class Topic(Contract):
    """A topic: a group of items about the same subject."""

    id: str = Field(description="Stable across refits, as long as the topic exists.")
    label: str = Field(description="Short name; yours if you renamed it.")
    description: str = Field(default="", description="What it is about, in a sentence; filled by `topics()`.")
    keywords: list[str] = Field(default_factory=list, description="Strongest first.")
    size: int = Field(default=0, ge=0, description="Items in the topic at the last fit.")
    theme: str = Field(default="", description="Group of topics that it belongs to; empty if there are few topics.")
    examples: list[str] = Field(default_factory=list, description="Titles of the items nearest to its centroid.")
    label_by: LabelBy = Field(default="keywords", description="Who chose the label.")
    tenant: str = Field(default="", description="Owner of the items, if several tenants share the space.")


class Interest(Contract):
    """One topic that a user cares about now."""

    topic: str = Field(description="Id of the topic.")
    label: str
    keywords: list[str] = Field(default_factory=list)
    weight: float = Field(
        ge=0, le=1, description="Share of the user's attention; interests add up to 1, a muted one has 0."
    )
    trend: Literal["rising", "steady", "fading"] = "steady"
    items: list[str] = Field(
        default_factory=list, description="Ids of the items that are evidence of it, strongest first."
    )
    titles: dict[str, str] = Field(
        default_factory=dict, description="Title of each of these items that has one, by id."
    )
    last_at: datetime = Field(description="Time of the latest event about it.")
    steer: float = Field(default=1.0, description="Weight that the user set: 0 mutes, 1 is neutral, above 1 boosts.")


class Words(Contract):
    """A text about a user, or about an item for a user. It says nothing but its evidence."""

    text: str
    by: Literal["template", "llm"] = Field(description="Who wrote it: a fixed template, or the language model.")
    language: Language
    items: list[str] = Field(default_factory=list, description="Ids of the user's items that the text rests on.")


class Shelf(Contract):
    """One row of recommendations: an interest and items for it."""

    interest: Interest
    title: str = Field(description="Why this row is here, in words.")
    items: list[Recommendation] = Field(default_factory=list)


class Rejected(Contract):
    """One refused input: its position in the batch (from 0), its id if it has one, and the reason."""

    position: int
    id: str | None = None
    reason: str


class Receipt(Contract):
    """The outcome of a batch of writes; inputs counted as written are durable in Qdrant."""

    written: int = Field(default=0, description="New or changed, and stored.")
    unchanged: int = Field(default=0, description="Already stored exactly like this.")
    duplicates: int = Field(default=0, description="Replaced by a later input with the same id in the batch.")
    textless: int = Field(default=0, description="Stored without any text: only behaviour can recommend them.")
    rejected: list[Rejected] = Field(default_factory=list)
    queued: bool = Field(
        default=True, description="False: the queue did not accept the messages; the next reconcile finds the work."
    )


class SpaceStatus(Contract):
    """Counts of stored and pending points, taken from Qdrant itself, so they are right even after a crash."""

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
    set_aside: int = Field(description="Items, users and texts that failed too often; `llmrec failures` lists them.")
    boilerplate: list[str] = Field(
        default_factory=list,
        description="Passages that many items share, most frequent first: they are left out before texts are encoded.",
    )
    notes: list[str] = Field(
        default_factory=list,
        description="What the operator should know, one sentence each: clocks that differ, work that could not be done.",
    )


class Failure(Contract):
    """An item, user, text or event that was set aside, since it failed too often or is malformed."""

    kind: Literal["item", "user", "text", "event"]
    id: str
    version: int
    reason: str


class Moved(Contract):
    """The outcome of a push or pull: every point of the source was compared with its copy and is equal."""

    space: str = Field(description="Name of the copy.")
    live: int = Field(description="The live version, the same number as in the source.")
    versions: list[int] = Field(description="The versions that were copied.")
    points: dict[str, int] = Field(description="Collection of the copy → points, all compared.")
    written: int = Field(description="Points that were new or differed; fewer than all if an earlier run copied some.")
    removed: int = Field(description="Points of the copy that the source no longer has.")


class PartlyRejected(InvalidInput):
    """Some inputs of a batch were refused; all others are stored.

    ``receipt`` counts what was stored; ``receipt.rejected`` lists each refused input with the reason.
    """

    def __init__(self, message: str, receipt: Receipt) -> None:
        super().__init__(message)
        self.receipt = receipt
