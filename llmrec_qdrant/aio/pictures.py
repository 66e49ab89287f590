"""Pictures of a space, as Plotly figures and as a report; drawing runs in a thread."""

from __future__ import annotations

import asyncio
from typing import Any

from llmrec_qdrant import operations
from llmrec_qdrant.aio.connection import AsyncConnection
from llmrec_qdrant.report import page, quality_figures, topic_figures, user_figures

__all__ = ["AsyncPictures"]


class AsyncPictures(AsyncConnection):
    """Methods that draw."""

    async def report(self, evaluation: Any = None) -> str:
        """As :meth:`Recommender.report`."""
        measured = quality_figures.checked(evaluation)
        overview = await self._drive(operations.overview.read_overview(await self._bound()))
        return await asyncio.to_thread(page.build_page, overview, measured)

    async def visualize_topics(self) -> Any:
        """As :meth:`Recommender.visualize_topics`."""
        overview = await self._drive(operations.overview.read_map(await self._bound()))
        return await asyncio.to_thread(topic_figures.topic_map, overview)

    async def visualize_interests(self, user: str) -> Any:
        """As :meth:`Recommender.visualize_interests`."""
        return user_figures.interests(await self._drive(operations.interests.interests_of(await self._bound(), user)))

    async def visualize_item(self, item: str) -> Any:
        """As :meth:`Recommender.visualize_item`."""
        bound = await self._bound()
        row = await self._drive(operations.overview.read_item(bound, item))
        topics = await self._drive(operations.topics.list_topics(bound))
        return user_figures.item_topics(row, topics, await self._drive(operations.overview.read_centroids(bound)))

    async def visualize_quality(self, result: Any) -> Any:
        """As :meth:`Recommender.visualize_quality`."""
        return quality_figures.quality(result)
