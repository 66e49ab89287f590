"""The synchronous recommender."""

from __future__ import annotations

from llmrec_qdrant.recommender.data import Data
from llmrec_qdrant.recommender.jobs import Jobs
from llmrec_qdrant.recommender.lists import Lists
from llmrec_qdrant.recommender.pictures import Pictures
from llmrec_qdrant.recommender.spaces import Spaces
from llmrec_qdrant.recommender.topics import Topics

__all__ = ["Recommender"]


class Recommender(Lists, Topics, Pictures, Data, Jobs, Spaces):
    """Stores items and events in one space of a Qdrant, and recommends from it.

    The constructor takes a client and a queue; :meth:`connect` and :meth:`from_env` build them. Threads may share it.
    """
