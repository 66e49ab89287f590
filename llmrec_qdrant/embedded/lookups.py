"""Look up the vectors of points that a request names by id, in whichever collection they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qdrant_edge as edge

from llmrec_qdrant.embedded.shards import edge_errors
from llmrec_qdrant.errors import NotFound

__all__ = ["LookUps"]


class LookUps:
    """Vectors of the points named in the requests of one batch to ``collection``.

    Each vector is read once, and alone: a user's interests are many rows that no list needs.
    """

    def __init__(self, shard_of: Callable[[str], edge.EdgeShard], collection: str) -> None:
        self._shard_of, self._collection = shard_of, collection
        self._known: dict[tuple[str, Any, str], Any] = {}

    def __call__(self, collection: str | None, point: Any, name: str) -> Any:
        """Return the vector ``name`` of a point, None if it has none.

        Raises :class:`NotFound` for a missing point.
        """
        place = (collection or self._collection, point, name)
        if place not in self._known:
            shard = self._shard_of(place[0])
            with edge_errors():
                stored = shard.retrieve([point], with_payload=False, with_vector=[name])
            if not stored:
                raise NotFound(f"Qdrant cannot find point {point!r} in {place[0]!r}")
            vectors: Any = stored[0].vector or {}
            self._known[place] = vectors.get(name)
        return self._known[place]
