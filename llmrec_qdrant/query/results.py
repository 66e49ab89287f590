"""Turns points into answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from llmrec_qdrant.contracts.answers import Recommendation, SimilarUser
from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.space.layout import COLLAB, DENSE, TFIDF, Key, own_fields
from llmrec_qdrant.space.points import Point

__all__ = ["by_popularity", "leg_scores", "reason", "recommendations", "users"]

MAX_SHARED_WORDS = 4
"""Shared words that a reason names."""

YEAR = re.compile(r"(?:1[89]|20)\d\d")
"""Years, which many titles hold and which say little in a reason."""

CLOSE = 0.1
"""Cosine from which an item is called close in meaning; unrelated texts often reach less."""


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


def leg_scores(lists: Mapping[Leg, Sequence[Point]], point: str) -> dict[str, float]:
    """Return one point's score per leg, for the legs that proposed it."""
    return {leg: scored.score for leg, points in lists.items() for scored in points if scored.id == point}


def without_statistics(scores: Mapping[str, float], lists: Mapping[Leg, Sequence[Point]]) -> dict[str, float]:
    """Return scores in which that of the words is the item's place in its list: 1 for the first, 1/n for the last of n.

    The score itself, and even its share of the best one, would tell how common a word is in the items of other tenants.
    """
    listed = lists.get(TFIDF, ())
    if TFIDF not in scores or not listed:
        return dict(scores)
    better = sum(point.score > scores[TFIDF] for point in listed)
    return {**scores, TFIDF: 1 - better / len(listed)}


def reason(
    scores: Mapping[str, float], point: Point, terms: Sequence[str], boosted: AbstractSet[str] = frozenset()
) -> str:
    """Say why an item is on the list: ``scores`` per leg, the strongest words of the user or text, topics that the user boosted."""
    item_terms = set(point.get(Key.TERMS, []))
    shared = [term for term in terms if term in item_terms and not YEAR.fullmatch(term)][:MAX_SHARED_WORDS]
    reasons = {
        TFIDF: f"shares words: {', '.join(shared)}" if shared else "",
        COLLAB: "chosen next by people with this history",
        DENSE: "close in meaning" if scores.get(DENSE, 0) >= CLOSE else "remotely related",
    }
    phrases = [reasons[leg] for leg in (TFIDF, COLLAB, DENSE) if scores.get(leg, 0) > 0 and reasons[leg]]
    if not boosted.isdisjoint(point.get(Key.TOPIC_IDS, [])):
        phrases.append("in a boosted topic")
    return "; ".join(phrases) or ("shares words" if scores.get(TFIDF, 0) > 0 else "")
