"""Evidence: a recommendation taken apart."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from llmrec_qdrant.contracts.checks import Contract
from llmrec_qdrant.contracts.config import Leg

__all__ = ["Adjustment", "EventEvidence", "Evidence", "LegEvidence", "Reason", "WhyNot", "WordEvidence"]


class EventEvidence(Contract):
    """What one of the user's items, or one of their texts, adds to a leg."""

    item: str | None = Field(default=None, description="Id of the item; null for a text.")
    title: str = Field(default="", description="Title of the item.")
    contribution: float = Field(description="Part of the leg's contribution to the score; dislikes may be negative.")
    followers: int | None = Field(
        default=None,
        description="Users who took this item and the recommended one after it; collab leg of `explain` only.",
    )


class WordEvidence(Contract):
    """What one shared word adds to the tfidf leg."""

    word: str
    contribution: float = Field(description="Part of the leg's contribution to the score.")


class LegEvidence(Contract):
    """What one leg adds to the score."""

    leg: Leg
    contribution: float = Field(description="Part of the fused score.")
    share: float = Field(description="Share of all positive contributions; 0 for a negative one.")
    score: float = Field(
        description="The leg's own score of the item: a cosine, or a weighted sum of matches; for a tenant, the place of the tfidf leg: "
        "1 for the first, 1/n for the last of n."
    )
    rank: int = Field(
        description="Place of the item in the leg's own list, from 1; one more than the items with a better score."
    )
    candidates: int = Field(description="Items in that list.")
    times: int = Field(description="How often the request repeats the leg: its weight.")
    method: Literal["linear", "none"] = Field(
        default="linear",
        description="How `events` were computed. linear: the leg is a weighted sum over events, which is taken apart; none: it is not "
        "(a trained model's dense leg, or a user whose last refresh was by an earlier release).",
    )
    events: list[EventEvidence] = Field(
        default_factory=list, description="Strongest first; with `rest` they add up to `contribution`."
    )
    rest: float = Field(default=0.0, description="Part of `contribution` that `events` leaves out.")
    words: list[WordEvidence] = Field(
        default_factory=list, description="Shared words, strongest first; another view of the same contribution."
    )


class Adjustment(Contract):
    """What changes the score beside the legs."""

    kind: Literal["boost", "lowered", "word", "taste", "continued", "popular"] = Field(
        description="boost, lowered: the user's steering of `topic`; word: the item has a word of the search; taste: the legs of the "
        "user who searches; continued: the item lies behind the first candidates; popular: a list of popular items."
    )
    contribution: float
    topic: str | None = None
    label: str = Field(default="", description="Name of the topic.")


class Reason(Contract):
    """One thing that speaks for an item: a code and its data, to say in any language."""

    code: Literal["followed", "close", "words", "boosted"] = Field(
        description="followed: others took the item after `items`; close: in meaning; words: shared; boosted: the user asked for more "
        "of a topic."
    )
    share: float = Field(description="Share of all positive contributions; a fifth or more.")
    of: Literal["items", "texts", "history", "examples", "search", "steering"] = Field(
        description="What it rests on. items: these items of the user; texts: what the user wrote or searched for; history: all that the "
        "user took; examples: the items that the list was asked for; search: the text of the search; steering: what the user set."
    )
    items: list[str] = Field(
        default_factory=list, description="Ids of the items that carry it, strongest first, two at most."
    )
    titles: list[str] = Field(
        default_factory=list, description="Title of each of these items; the id where it has none."
    )
    words: list[str] = Field(
        default_factory=list, description="Shared words, strongest first, three at most; of a boost, the topic's name."
    )


class Evidence(Contract):
    """Why an item has its score. The contributions of ``legs`` and ``adjustments`` add up to ``score``."""

    score: float
    legs: list[LegEvidence] = Field(default_factory=list, description="Greatest contribution first.")
    adjustments: list[Adjustment] = Field(default_factory=list)
    interest: str | None = Field(default=None, description="Label of the user's interest that the item belongs to.")
    because: list[Reason] = Field(
        default_factory=list, description="What carries a fifth of the score or more; greatest share first."
    )
    reasons: dict[str, str] = Field(
        default_factory=dict,
        description="`because` in one sentence, by language (en, zh).",
    )
    without: list[str] | None = Field(
        default=None,
        description="Fewest items found without which the item leaves the list; null if none were, or not looked for.",
    )
    listed: bool | None = Field(default=None, description="Whether the list has the item; filled by `explain`.")


class WhyNot(Contract):
    """Where an item falls out of a list."""

    item: str
    stage: Literal[
        "listed",
        "unknown",
        "not_encoded",
        "filter",
        "excluded",
        "already_seen",
        "unwanted",
        "muted",
        "no_leg",
        "rank",
        "fallback",
    ]
    reason: str = Field(description="In one sentence.")
    rank: int | None = Field(default=None, description="Place in the longest list, from 1, if it has one.")
