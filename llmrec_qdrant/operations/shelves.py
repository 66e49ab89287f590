"""Recommends one row of items per interest of a user."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from qdrant_client import models

from llmrec_qdrant.contracts.answers import Interest, Language, Seen, Shelf
from llmrec_qdrant.contracts.checks import external_id
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.interests import current_interests
from llmrec_qdrant.operations.left_out import read_left_out
from llmrec_qdrant.operations.plan import item_filter, read_pages
from llmrec_qdrant.operations.remember import remembered
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.topic_texts import shelf_titles
from llmrec_qdrant.operations.users import StoredUser, read_interest_vectors, read_user
from llmrec_qdrant.operations.words import checked_language
from llmrec_qdrant.query import pages, requests, results
from llmrec_qdrant.query.options import ListOptions, check_limit, check_seen
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.space.conditions import all_of, equals, where
from llmrec_qdrant.space.layout import DENSE, Key
from llmrec_qdrant.space.points import Point

__all__ = ["shelves"]


def shelves(
    bound: Bound, user: str, rows: int, options: ListOptions, exclude_seen: Seen, language: Language | None = None
) -> Steps[list[Shelf]]:
    """Return one row per interest that is not muted: the user's legs within the topic, all rows in one batched request.

    The dense leg uses the vector of the interest instead of the mean of all interests. No item appears in two rows.
    """
    check_limit(rows, "rows")
    check_seen(exclude_seen)
    language = checked_language(language)
    return (
        yield from remembered(
            bound.memory, partial(_shelves, bound, external_id(user), rows, options, exclude_seen, language)
        )
    )


def _shelves(
    bound: Bound, user: str, rows: int, options: ListOptions, exclude_seen: Seen, language: Language | None
) -> Steps[list[Shelf]]:
    stored = yield from read_user(bound, user)
    interests = yield from current_interests(bound, stored)
    strongest = _strongest(interests, rows)
    if not strongest:
        return []
    left_out = yield from read_left_out(bound, user, stored, exclude_seen)
    wanted = item_filter(bound, options, left_out.items)
    titles = yield from shelf_titles(bound, strongest, language)
    vectors = yield from read_interest_vectors(bound, stored)
    lists = yield from read_pages(
        bound.space.items,
        [
            pages.page(
                _list(bound, stored, interest, vectors, wanted), bound.config.prefetch, options.offset, options.limit
            )
            for interest in strongest
        ],
    )
    return [
        _shelf(interest, titles[interest.topic], points)
        for interest, points in zip(strongest, lists, strict=True)
        if points
    ]


def _strongest(interests: Sequence[Interest], number: int) -> list[Interest]:
    followed = (interest for interest in interests if interest.steer > 0)
    return sorted(followed, key=lambda interest: -interest.weight * interest.steer)[:number]


def _shelf(interest: Interest, title: str, points: Sequence[Point]) -> Shelf:
    return Shelf(interest=interest, title=title, items=results.recommendations(points))


def _list(
    bound: Bound,
    user: StoredUser,
    interest: Interest,
    vectors: Mapping[str, Sequence[float]],
    wanted: models.Filter | None,
) -> Callable[[int], models.QueryRequest]:
    """Return the items of an interest: candidates per leg → request."""
    inside = all_of(wanted, where(equals(Key.TOPIC_IDS, interest.topic)))
    queries = [query for query in user.queries(bound) if bound.config.weights.get(query.leg, 0) > 0]
    if not queries:
        return partial(requests.top, inside)
    if interest.topic in vectors:
        own = LegQuery(DENSE, models.NearestQuery(nearest=list(vectors[interest.topic])))
        queries = [own if query.leg == DENSE else query for query in queries]
    return lambda depth: requests.fused(queries, weights=bound.config.weights, filter=inside, limit=depth, depth=depth)
