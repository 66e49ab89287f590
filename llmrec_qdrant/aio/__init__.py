"""The asynchronous recommender: the same operations, awaited."""

from __future__ import annotations

from llmrec_qdrant.aio.data import AsyncData
from llmrec_qdrant.aio.jobs import AsyncJobs
from llmrec_qdrant.aio.lists import AsyncLists
from llmrec_qdrant.aio.pictures import AsyncPictures
from llmrec_qdrant.aio.spaces import AsyncSpaces
from llmrec_qdrant.aio.topics import AsyncTopics

__all__ = ["AsyncRecommender"]


class AsyncRecommender(AsyncLists, AsyncTopics, AsyncPictures, AsyncData, AsyncJobs, AsyncSpaces):
    """:class:`~llmrec_qdrant.recommender.Recommender` for asyncio; every method is documented there.

    Embedded Qdrant and the queue block, so they run in one thread beside the event loop. The version of the server is checked
    at the first awaited call, since connecting does not wait.
    """
