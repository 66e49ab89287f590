"""Lists of items and users."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Literal

from llmrec_qdrant import operations
from llmrec_qdrant.contracts.answers import (
    Explain,
    Recommendation,
    Rerank,
    Seen,
    SimilarUser,
)
from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.contracts.evidence import Evidence, WhyNot
from llmrec_qdrant.operations.batching import batches, check_many, map_ahead
from llmrec_qdrant.query.filters import FilterLike
from llmrec_qdrant.query.options import ListOptions
from llmrec_qdrant.recommender.connection import Connection
from llmrec_qdrant.space.layout import Key

__all__ = ["Lists"]


class Lists(Connection):
    """Methods that return lists of items or users."""

    def recommend(
        self, user: str, limit: int = 10, *, offset: int = 0, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        exclude_seen: Seen = True, diversity: float = 0.0, weights: Mapping[Leg, float] | None = None,
        explain: Explain = False, interests: Literal["auto"] | None = None, rerank: Rerank = None,
    ) -> list[Recommendation]:  # fmt: skip
        """Recommend items to a user, best first.

        A user without vectors gets the popular items, and ``reason`` begins with "popular:". ``exclude_seen`` leaves out the
        items that the user has seen; ``"but_last"`` keeps the latest of them, for items that people take again.
        ``offset`` continues a list: ``recommend(user, 10, offset=10)`` is its second page; a list has 1,000 items at most.
        ``diversity`` goes from 0 (none) to 1; ``weights`` per leg replace those of the space; ``explain=True`` fills ``legs``,
        ``reason`` and ``evidence``: what adds up to the score, and because of which items and words; ``"evidence"`` means the same.
        ``interests="auto"`` gives each of the user's topics its share of the list. ``rerank="llm"`` has a language model order the
        first 20 items of the answer by the user's interests, within 3 s; if it fails, the list stays as it is. Scores stay, too.
        """
        options = ListOptions(limit, filter, exclude, diversity, weights, explain, interests, offset)
        return self._drive(operations.judge.recommend_reranked(self._bound(), user, options, exclude_seen, rerank))

    def recommend_many(
        self, users: Iterable[str], limit: int = 10, *, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        exclude_seen: Seen = True, diversity: float = 0.0, weights: Mapping[Leg, float] | None = None,
        explain: Explain = False, interests: Literal["auto"] | None = None,
    ) -> Iterator[tuple[str, list[Recommendation]]]:  # fmt: skip
        """Iterate over users, each with the list of :meth:`recommend`; :meth:`users` names all there are.

        Lists are computed 64 at a time, a batch ahead of what you read. An id that no list can be asked for raises
        :class:`InvalidInput` when its batch comes up.
        """
        options = ListOptions(limit, filter, exclude, diversity, weights, explain, interests)
        names = batches([users] if isinstance(users, str) else check_many(users), operations.recommend.USERS_TOGETHER)

        def lists(batch: list[str]) -> list[tuple[str, list[Recommendation]]]:
            return self._drive(operations.recommend.recommend_many(self._bound(), batch, options, exclude_seen))

        return chain.from_iterable(map_ahead(self._threads if self._memory else None, lists, names))

    def request(
        self, user: str, limit: int = 10, *, offset: int = 0, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        exclude_seen: Seen = True, weights: Mapping[Leg, float] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Return the body whose answer is the list of :meth:`recommend`, for ``POST /collections/{space}_items/points/query``.

        Qdrant returns items of equal scores in any order; ``recommend`` sorts them by the ids of their points.
        """
        options = ListOptions(limit, filter, exclude, 0.0, weights, offset=offset)
        return self._drive(operations.recommend.request(self._bound(), user, options, exclude_seen))

    def top(
        self, limit: int = 10, *, offset: int = 0, by: str = Key.POPULARITY, filter: FilterLike | None = None,
        exclude: Sequence[str] = (),
    ) -> list[Recommendation]:  # fmt: skip
        """List the same items for every user: the most popular, or those with the highest number or latest date in field ``by``.

        Items without the field are left out; ``score`` is the popularity. Raises :class:`InvalidInput` unless ``by`` is
        ``"popularity"`` or a number or date among the fields of the space.
        """
        return self._drive(operations.top.top(self._bound(), by, ListOptions(limit, filter, exclude, offset=offset)))

    def recommend_from(
        self, positive: Sequence[str], negative: Sequence[str] = (), limit: int = 10, *, offset: int = 0,
        filter: FilterLike | None = None, exclude: Sequence[str] = (), diversity: float = 0.0,
        weights: Mapping[Leg, float] | None = None, explain: Explain = False,
    ) -> list[Recommendation]:  # fmt: skip
        """Recommend items for an anonymous session, from example items. Raises :class:`NotFound` if no positive one is known."""
        options = ListOptions(limit, filter, exclude, diversity, weights, explain, offset=offset)
        return self._drive(operations.similar.recommend_from(self._bound(), positive, negative, options))

    def similar_items(
        self, item: str, limit: int = 10, *, offset: int = 0, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        diversity: float = 0.0, weights: Mapping[Leg, float] | None = None, explain: Explain = False,
    ) -> list[Recommendation]:  # fmt: skip
        """List items that are similar to an item. Raises :class:`NotFound` for an unknown item."""
        options = ListOptions(limit, filter, exclude, diversity, weights, explain, offset=offset)
        return self._drive(operations.similar.similar_items(self._bound(), item, options))

    def similar_users(self, user: str, limit: int = 10, *, offset: int = 0) -> list[SimilarUser]:
        """List users that are similar to a user. Raises :class:`NotFound` for a user without events."""
        return self._drive(operations.similar.similar_users(self._bound(), user, limit, offset))

    def search(
        self, text: str, user: str | None = None, limit: int = 10, *, offset: int = 0, filter: FilterLike | None = None,
        exclude: Sequence[str] = (), diversity: float = 0.0, weights: Mapping[Leg, float] | None = None,
        explain: Explain = False,
    ) -> list[Recommendation]:  # fmt: skip
        """Search items by a text; ``user``: rank them for that user. Raises :class:`WorkPending` if no worker answers in time."""
        options = ListOptions(limit, filter, exclude, diversity, weights, explain, offset=offset)
        return self._drive(operations.search.search(self._bound(), text, user, options))

    def explain(
        self, user: str, item: str, limit: int = 10, *, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        exclude_seen: Seen = True, weights: Mapping[Leg, float] | None = None,
    ) -> Evidence:  # fmt: skip
        """Take the score of an item for a user apart. Its parts add up to ``score``.

        ``limit``, ``filter``, ``exclude``, ``exclude_seen`` and ``weights`` are those of the list that is explained. ``without`` is the
        smallest set of the user's items found without which the item leaves that list. Raises :class:`NotFound` for an item
        that no leg proposes, and says where it falls out.
        """
        options = ListOptions(limit, filter, exclude, 0.0, weights)
        return self._drive(operations.explain.explain(self._bound(), user, item, options, exclude_seen))

    def why_not(
        self, user: str, item: str, limit: int = 10, *, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        exclude_seen: Seen = True, weights: Mapping[Leg, float] | None = None,
    ) -> WhyNot:  # fmt: skip
        """Say where an item falls out of a user's list: filter, seen, muted, no leg, or its rank."""
        options = ListOptions(limit, filter, exclude, 0.0, weights)
        return self._drive(operations.explain.why_not(self._bound(), user, item, options, exclude_seen))
