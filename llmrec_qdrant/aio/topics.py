"""Topics of a space and interests of its users."""

from __future__ import annotations

from collections.abc import Sequence

from llmrec_qdrant import operations
from llmrec_qdrant.aio.connection import AsyncConnection
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

__all__ = ["AsyncTopics"]


class AsyncTopics(AsyncConnection):
    """Methods on topics and interests."""

    async def topics(self, *, language: Language | None = None) -> list[Topic]:
        """As :meth:`Recommender.topics`."""
        return await self._drive(operations.topic_texts.topics(await self._bound(), language))

    async def topic_items(
        self, topic: str, limit: int = 10, *, offset: int = 0, filter: FilterLike | None = None
    ) -> list[Recommendation]:
        """As :meth:`Recommender.topic_items`."""
        options = ListOptions(limit, filter, offset=offset)
        return await self._drive(operations.topics.topic_items(await self._bound(), topic, options))

    async def rename_topic(self, topic: str, label: str) -> Topic:
        """As :meth:`Recommender.rename_topic`."""
        return await self._drive(operations.topics.rename_topic(await self._bound(), topic, label))

    async def interests(self, user: str) -> list[Interest]:
        """As :meth:`Recommender.interests`."""
        return await self._drive(operations.interests.interests_of(await self._bound(), user))

    async def steer(self, user: str, topic: str, weight: float = 0.0) -> list[Interest]:
        """As :meth:`Recommender.steer`."""
        return await self._drive(operations.steering.steer(await self._bound(), user, topic, weight))

    async def shelves(
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
        """As :meth:`Recommender.shelves`."""
        options = ListOptions(limit, filter, exclude, offset=offset)
        return await self._drive(
            operations.shelves.shelves(await self._bound(), user, rows, options, exclude_seen, language)
        )

    async def portrait(self, user: str, *, language: Language | None = None) -> Words:
        """As :meth:`Recommender.portrait`."""
        return await self._drive(operations.words.portrait(await self._bound(), user, language))

    async def blurb(self, user: str, item: str, *, language: Language | None = None) -> Words:
        """As :meth:`Recommender.blurb`."""
        return await self._drive(operations.words.blurb(await self._bound(), user, item, language))
