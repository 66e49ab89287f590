"""Lists of items and users."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Literal

from llmrec_qdrant import operations
from llmrec_qdrant.aio.connection import AsyncConnection
from llmrec_qdrant.contracts.answers import (
    Explain,
    Recommendation,
    Rerank,
    Seen,
    SimilarUser,
)
from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.contracts.evidence import Evidence, WhyNot
from llmrec_qdrant.operations.batching import batches, check_many
from llmrec_qdrant.query.filters import FilterLike
from llmrec_qdrant.query.options import ListOptions
from llmrec_qdrant.space.layout import Key

__all__ = ["AsyncLists"]


class AsyncLists(AsyncConnection):
    """Methods that return lists of items or users."""

    async def recommend(
        self, user: str, limit: int = 10, *, offset: int = 0, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        exclude_seen: Seen = True, diversity: float = 0.0, weights: Mapping[Leg, float] | None = None,
        explain: Explain = False, interests: Literal["auto"] | None = None, rerank: Rerank = None,
    ) -> list[Recommendation]:  # fmt: skip
        """As :meth:`Recommender.recommend`."""
        options = ListOptions(limit, filter, exclude, diversity, weights, explain, interests, offset)
        return await self._drive(
            operations.judge.recommend_reranked(await self._bound(), user, options, exclude_seen, rerank)
        )

    async def recommend_many(
        self, users: Iterable[str], limit: int = 10, *, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        exclude_seen: Seen = True, diversity: float = 0.0, weights: Mapping[Leg, float] | None = None,
        explain: Explain = False, interests: Literal["auto"] | None = None,
    ) -> AsyncIterator[tuple[str, list[Recommendation]]]:  # fmt: skip
        """As :meth:`Recommender.recommend_many`: ``async for user, items in rec.recommend_many(users)``."""
        options = ListOptions(limit, filter, exclude, diversity, weights, explain, interests)
        for batch in batches(
            [users] if isinstance(users, str) else check_many(users), operations.recommend.USERS_TOGETHER
        ):
            bound = await self._bound()
            for pair in await self._drive(operations.recommend.recommend_many(bound, batch, options, exclude_seen)):
                yield pair

    async def request(
        self, user: str, limit: int = 10, *, offset: int = 0, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        exclude_seen: Seen = True, weights: Mapping[Leg, float] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """As :meth:`Recommender.request`."""
        options = ListOptions(limit, filter, exclude, 0.0, weights, offset=offset)
        return await self._drive(operations.recommend.request(await self._bound(), user, options, exclude_seen))

    async def top(
        self, limit: int = 10, *, offset: int = 0, by: str = Key.POPULARITY, filter: FilterLike | None = None,
        exclude: Sequence[str] = (),
    ) -> list[Recommendation]:  # fmt: skip
        """As :meth:`Recommender.top`."""
        return await self._drive(
            operations.top.top(await self._bound(), by, ListOptions(limit, filter, exclude, offset=offset))
        )

    async def recommend_from(
        self, positive: Sequence[str], negative: Sequence[str] = (), limit: int = 10, *, offset: int = 0,
        filter: FilterLike | None = None, exclude: Sequence[str] = (), diversity: float = 0.0,
        weights: Mapping[Leg, float] | None = None, explain: Explain = False,
    ) -> list[Recommendation]:  # fmt: skip
        """As :meth:`Recommender.recommend_from`."""
        options = ListOptions(limit, filter, exclude, diversity, weights, explain, offset=offset)
        return await self._drive(operations.similar.recommend_from(await self._bound(), positive, negative, options))

    async def similar_items(
        self, item: str, limit: int = 10, *, offset: int = 0, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        diversity: float = 0.0, weights: Mapping[Leg, float] | None = None, explain: Explain = False,
    ) -> list[Recommendation]:  # fmt: skip
        """As :meth:`Recommender.similar_items`."""
        options = ListOptions(limit, filter, exclude, diversity, weights, explain, offset=offset)
        return await self._drive(operations.similar.similar_items(await self._bound(), item, options))

    async def similar_users(self, user: str, limit: int = 10, *, offset: int = 0) -> list[SimilarUser]:
        """As :meth:`Recommender.similar_users`."""
        return await self._drive(operations.similar.similar_users(await self._bound(), user, limit, offset))

    async def search(
        self, text: str, user: str | None = None, limit: int = 10, *, offset: int = 0, filter: FilterLike | None = None,
        exclude: Sequence[str] = (), diversity: float = 0.0, weights: Mapping[Leg, float] | None = None,
        explain: Explain = False,
    ) -> list[Recommendation]:  # fmt: skip
        """As :meth:`Recommender.search`."""
        options = ListOptions(limit, filter, exclude, diversity, weights, explain, offset=offset)
        return await self._drive(operations.search.search(await self._bound(), text, user, options))

    async def explain(
        self, user: str, item: str, limit: int = 10, *, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        exclude_seen: Seen = True, weights: Mapping[Leg, float] | None = None,
    ) -> Evidence:  # fmt: skip
        """As :meth:`Recommender.explain`."""
        options = ListOptions(limit, filter, exclude, 0.0, weights)
        return await self._drive(operations.explain.explain(await self._bound(), user, item, options, exclude_seen))

    async def why_not(
        self, user: str, item: str, limit: int = 10, *, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        exclude_seen: Seen = True, weights: Mapping[Leg, float] | None = None,
    ) -> WhyNot:  # fmt: skip
        """As :meth:`Recommender.why_not`."""
        options = ListOptions(limit, filter, exclude, 0.0, weights)
        return await self._drive(operations.explain.why_not(await self._bound(), user, item, options, exclude_seen))
