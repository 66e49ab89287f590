"""TODO: llmrec_qdrant.query.results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qdrant_client import models

from llmrec_qdrant.contracts.answers import Recommendation, SimilarUser
from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.space.layout import ITEM_INTERNAL, Key

__all__ = ["leg_scores", "recommendations", "users"]


def recommendations(points: Sequence[models.ScoredPoint], reason: str = "") -> list[Recommendation]:
    """Scored item points as the caller sees them: own fields only."""
    return [_recommendation(point, reason) for point in points]


def _recommendation(point: models.ScoredPoint, reason: str) -> Recommendation:
    payload = point.payload or {}
    return Recommendation(
        id=payload.get(Key.ITEM_ID, str(point.id)),
        score=float(point.score),
        title=payload.get(Key.TITLE) or "",
        payload={key: value for key, value in payload.items() if key not in ITEM_INTERNAL},
        reason=reason,
        topics=payload.get(Key.TOPICS) or [],
    )


def users(points: Sequence[models.ScoredPoint]) -> list[SimilarUser]:
    """Scored user points as the caller sees them."""
    return [
        SimilarUser(
            id=(point.payload or {}).get(Key.USER_ID, str(point.id)),
            score=float(point.score),
            terms=(point.payload or {}).get(Key.TERMS) or [],
        )
        for point in points
    ]


def leg_scores(answers: Mapping[Leg, Sequence[models.ScoredPoint]], point: str) -> dict[str, float]:
    """Score per leg of one point, for the legs that proposed it."""
    return {leg: float(scored.score) for leg, points in answers.items() for scored in points if str(scored.id) == point}
