"""Pictures of a space, as Plotly figures and as a report."""

from __future__ import annotations

from typing import Any

from llmrec_qdrant import operations
from llmrec_qdrant.recommender.connection import Connection
from llmrec_qdrant.report import page, quality_figures, topic_figures, user_figures

__all__ = ["Pictures"]


class Pictures(Connection):
    """Methods that draw; they need ``pip install 'llmrec-qdrant[report]'``, or raise :class:`MissingDependency`."""

    def report(self, evaluation: Any = None) -> str:
        """Return a report on the space as one HTML page that needs no network; it names ten users with their interests.

        ``evaluation`` is the document that ``llmrec evaluate --json`` prints; without one, the report says how to get it.
        Raises :class:`InvalidInput` for any other value.
        """
        measured = quality_figures.checked(evaluation)
        return page.build_page(self._drive(operations.overview.read_overview(self._bound())), measured)

    def visualize_topics(self) -> Any:
        """Return a figure of the items in two dimensions, coloured by topic; of large spaces, a random sample."""
        return topic_figures.topic_map(self._drive(operations.overview.read_map(self._bound())))

    def visualize_interests(self, user: str) -> Any:
        """Return a figure of a user's current interests, with the items behind them."""
        return user_figures.interests(self._drive(operations.interests.interests_of(self._bound(), user)))

    def visualize_item(self, item: str) -> Any:
        """Return a figure of how near an item is to each topic. Raises :class:`NotFound` for an item without a vector."""
        bound = self._bound()
        row = self._drive(operations.overview.read_item(bound, item))
        topics = self._drive(operations.topics.list_topics(bound))
        return user_figures.item_topics(row, topics, self._drive(operations.overview.read_centroids(bound)))

    def visualize_quality(self, result: Any) -> Any:
        """Return a figure of an evaluation: NDCG with intervals; ``result`` as in :meth:`report`."""
        return quality_figures.quality(result)
