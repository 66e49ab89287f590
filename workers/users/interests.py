"""A user's events → interests: topics with a weight, a trend and the items that show them. Pure.

Every event speaks for its topic. Long-term, an event of age *a* days at *k* steps back counts
``w · 0.98^k · 0.5^(a / half-life)``; the current session is what lies within half an hour of its neighbour, or
carries the newest event's session id. Its share of the attention grows with what happened in it,
``0.6 · m / (m + 1)`` for a session of weight *m*: one click changes little, three lead over a month of something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np

from llmrec_qdrant.contracts.answers import Interest
from llmrec_qdrant.contracts.config import SpaceConfig

from ..behaviour.event_weights import decayed
from ..behaviour.vectors import normalised
from ..items.assign import TopicPoint

__all__ = ["Act", "interests_of", "rows_of", "shares"]


GAP = 1_800.0
"""Seconds of silence that end a session."""


STEP = 0.98


SESSION = 0.6
"""Most that the current session may weigh."""


MOST = 8
"""Interests kept."""


LEAST = 0.03
"""Share below which a topic is no interest."""


EVIDENCE = 5


RISING, FADING = 1.3, 0.7
"""Recent share as a multiple of the long-term share."""


@dataclass(frozen=True)
class Act:
    """One event as interests see it."""

    ts: float
    """Unix seconds."""
    weight: float
    topic: str | None = None
    item: str | None = None
    session: str | None = None
    dense: tuple[np.ndarray, ...] = ()


def _session(acts: Sequence[Act]) -> int:
    """How many of the newest acts belong to the current session."""
    count = 1
    while count < len(acts):
        newer, older = acts[count - 1], acts[count]
        same = newer.session == older.session if newer.session or older.session else newer.ts - older.ts <= GAP
        if not same:
            break
        count += 1
    return count


def _by_topic(acts: Sequence[Act], weights: np.ndarray) -> dict[str, float]:
    """Share per topic; what speaks against a topic takes away from it, down to nothing."""
    total: dict[str, float] = {}
    for act, weight in zip(acts, weights.tolist(), strict=True):
        if act.topic is not None:
            total[act.topic] = total.get(act.topic, 0.0) + weight
    positive = {topic: value for topic, value in total.items() if value > 0}
    whole = sum(positive.values())
    return {topic: value / whole for topic, value in positive.items()}


def _decayed(acts: Sequence[Act], half_life: float, step: float) -> np.ndarray:
    found: np.ndarray = np.array([act.weight for act in acts]) * decayed([act.ts for act in acts], half_life, step)
    return found


def shares(acts: Sequence[Act], config: SpaceConfig) -> dict[str, float]:
    """Attention per topic, adding up to 1; ``acts`` are newest first."""
    if not acts:
        return {}
    long = _by_topic(acts, _decayed(acts, config.half_life_days, STEP))
    current = acts[: _session(acts)]
    weights = np.array([act.weight for act in current])
    now = _by_topic(current, weights)
    weight = float(sum(w for act, w in zip(current, weights.tolist(), strict=True) if act.topic and w > 0))
    part = SESSION * weight / (weight + 1) if now and len(current) < len(acts) else 0.0
    topics = dict.fromkeys([*now, *long])
    mixed = {topic: part * now.get(topic, 0.0) + (1 - part) * long.get(topic, 0.0) for topic in topics}
    whole = sum(mixed.values())
    return {topic: value / whole for topic, value in mixed.items() if value > 0}


def _trend(recent: float, long: float) -> Literal["rising", "steady", "fading"]:
    if recent > RISING * long:
        return "rising"
    return "fading" if recent < FADING * long else "steady"


def interests_of(acts: Sequence[Act], config: SpaceConfig, topics: Mapping[str, TopicPoint]) -> list[Interest]:
    """The strongest interests, at most ``MOST``, their weights adding up to 1."""
    weights = {topic: share for topic, share in shares(acts, config).items() if topic in topics}
    kept = sorted((topic for topic, share in weights.items() if share >= LEAST), key=lambda one: (-weights[one], one))
    kept = kept[:MOST]
    if not kept:
        return []
    whole = sum(weights[topic] for topic in kept)
    weighed = _decayed(acts, config.half_life_days, STEP)
    long = _by_topic(acts, weighed)
    recent = _by_topic(acts, _decayed(acts, config.half_life_days / 4, STEP**5))
    found: list[Interest] = []
    for topic in kept:
        evidence: dict[str, float] = {}
        for act, weight in zip(acts, weighed.tolist(), strict=True):
            if act.topic == topic and act.item is not None:
                evidence[act.item] = evidence.get(act.item, 0.0) + weight
        shown = sorted((item for item, weight in evidence.items() if weight > 0), key=lambda item: -evidence[item])
        about = topics[topic]
        found.append(
            Interest(
                topic=topic,
                label=about.label,
                keywords=list(about.keywords),
                weight=round(weights[topic] / whole, 4),
                trend=_trend(recent.get(topic, 0.0), long.get(topic, 0.0)),
                items=shown[:EVIDENCE],
                last_at=datetime.fromtimestamp(max(act.ts for act in acts if act.topic == topic), UTC),
            )
        )
    return found


def rows_of(
    found: Sequence[Interest], acts: Sequence[Act], config: SpaceConfig, topics: Mapping[str, TopicPoint]
) -> list[list[float]] | None:
    """One unit vector per interest: the decayed mean of its events, else the middle of its topic; None if one has neither."""
    if not found:
        return None
    weighed = _decayed(acts, config.half_life_days, STEP)
    rows: list[list[float]] = []
    for one in found:
        total: Any = np.zeros(config.size)
        for act, weight in zip(acts, weighed.tolist(), strict=True):
            if act.topic == one.topic and weight > 0:
                total = total + weight * sum(act.dense, np.zeros(config.size))
        middle = topics[one.topic].dense
        if not total.any() and middle is not None:
            total = middle
        if not np.any(total):
            return None
        rows.append([float(x) for x in normalised(np.asarray(total))])
    return rows
