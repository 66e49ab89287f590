"""Topics of a space and interests of its users."""

from __future__ import annotations

from collections.abc import Sequence

from llmrec_qdrant import operations
from llmrec_qdrant.contracts.answers import (
    Interest,
    Language,
    Recommendation,
    Seen,
    Shelf,
    Topic,
    Words,
)
from llmrec_qdrant.query.filters import FilterLike
from llmrec_qdrant.query.options import ListOptions
from llmrec_qdrant.recommender.connection import Connection

__all__ = ["Topics"]


class Topics(Connection):
    """Methods on topics and interests."""

    def topics(self, *, language: Language | None = None) -> list[Topic]:
        """List the topics of the space, largest first; empty before :meth:`fit_topics`.

        Descriptions are in ``language``; None: in that of the topic's words.
        """
        return self._drive(operations.topic_texts.topics(self._bound(), language))

    def topic_items(
        self, topic: str, limit: int = 10, *, offset: int = 0, filter: FilterLike | None = None
    ) -> list[Recommendation]:
        """List the items of a topic, which ``topic`` names by id or label, most popular first; ``score`` is the popularity."""
        options = ListOptions(limit, filter, offset=offset)
        return self._drive(operations.topics.topic_items(self._bound(), topic, options))

    def rename_topic(self, topic: str, label: str) -> Topic:
        """Rename a topic, which ``topic`` names by id or label; every refit keeps the new label."""
        return self._drive(operations.topics.rename_topic(self._bound(), topic, label))

    def interests(self, user: str) -> list[Interest]:
        """List a user's current interests, strongest first; empty if none are known."""
        return self._drive(operations.interests.interests_of(self._bound(), user))

    def steer(self, user: str, topic: str, weight: float = 0.0) -> list[Interest]:
        """Mute a topic for a user (weight 0), recommend less (below 1) or more of it (up to 4); 1 resets it."""
        return self._drive(operations.steering.steer(self._bound(), user, topic, weight))

    def shelves(
        self,
        user: str,
        rows: int = 5,
        limit: int = 10,
        *,
        offset: int = 0,
        filter: FilterLike | None = None,
        exclude: Sequence[str] = (),
        exclude_seen: Seen = True,
        language: Language | None = None,
    ) -> list[Shelf]:
        """Recommend one row of items per interest, strongest interest first; ``offset`` continues the rows.

        Titles are in ``language``; None: in that of the topic's words.
        """
        options = ListOptions(limit, filter, exclude, offset=offset)
        return self._drive(operations.shelves.shelves(self._bound(), user, rows, options, exclude_seen, language))

    def portrait(self, user: str, *, language: Language | None = None) -> Words:
        """Return what a user cares about in two sentences, in ``language``; None: in that of the user's items."""
        return self._drive(operations.words.portrait(self._bound(), user, language))

    def blurb(self, user: str, item: str, *, language: Language | None = None) -> Words:
        """Return why an item is for a user, in a sentence, in ``language``; None: in that of the item's title.

        Raises :class:`NotFound` for an unknown item.
        """
        return self._drive(operations.words.blurb(self._bound(), user, item, language))
