"""Turns points into answers."""

from __future__ import annotations

from collections.abc import Sequence

from llmrec_qdrant.contracts.answers import Recommendation, SimilarUser
from llmrec_qdrant.space.layout import Key, own_fields
from llmrec_qdrant.space.points import Point

__all__ = ["by_popularity", "recommendations", "users"]


def recommendations(points: Sequence[Point], reason: str = "") -> list[Recommendation]:
    """Turn item points into recommendations, with the caller's own fields only."""
    return [_recommendation(point, point.score, reason) for point in points]


def by_popularity(points: Sequence[Point], reason: str) -> list[Recommendation]:
    """Turn item points into recommendations whose score is their popularity."""
    return [_recommendation(point, float(point.get(Key.POPULARITY, 0.0)), reason) for point in points]


def _recommendation(point: Point, score: float, reason: str) -> Recommendation:
    return Recommendation(
        id=point.get(Key.ITEM_ID, point.id),
        score=score,
        title=point.get(Key.TITLE, ""),
        payload=own_fields(point.payload),
        reason=reason,
        topics=point.get(Key.TOPICS, []),
    )


def users(points: Sequence[Point]) -> list[SimilarUser]:
    """Turn user points into similar users."""
    return [
        SimilarUser(id=point.get(Key.USER_ID, point.id), score=point.score, terms=point.get(Key.TERMS, []))
        for point in points
    ]
