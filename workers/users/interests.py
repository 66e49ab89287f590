"""Derives a user's interests from their events: topics with a weight, a trend and items as evidence. Pure.

Every event is evidence for its topic. In the long-term share, an event of age *a* days, *k* steps back, counts
``w · 0.98^k · 0.5^(a / half-life)``. The current session consists of the newest events with the same session id, or with at
most half an hour between neighbours. Its share of the attention grows with its total weight *m*, as ``0.6 · m / (m + 1)``:
one click changes little, three outweigh a month of something else.
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
from ..items.topic_rule import TopicPoint

__all__ = ["Act", "interests_of", "rows_of", "shares"]


SESSION_GAP = 1_800.0
"""Seconds of silence that end a session."""
MAX_SESSION_SHARE = 0.6
"""Share of the attention that the current session approaches."""
STEP_DECAY = 0.98
"""Decay factor per step back."""
RECENT_STEPS, RECENT_HALF_LIVES = 5, 4
"""How many times faster the recent share decays, per step and per half-life, than the long-term share."""
MAX_INTERESTS = 8
MIN_SHARE = 0.03
"""Share of the attention below which a topic does not count as an interest."""
MAX_EVIDENCE = 5
"""Items shown per interest."""
RISING, FADING = 1.3, 0.7
"""Ratio of the recent to the long-term share above which an interest rises, and below which it fades."""


@dataclass(frozen=True)
class Act:
    """An event in the form that interests are computed from."""

    ts: float
    """Unix seconds."""
    weight: float
    topic: str | None = None
    item: str | None = None
    session: str | None = None
    dense: tuple[np.ndarray, ...] = ()


def _session(acts: Sequence[Act]) -> int:
    """Return the number of the newest acts that form the current session."""
    count = 1
    while count < len(acts):
        newer, older = acts[count - 1], acts[count]
        same = newer.session == older.session if newer.session or older.session else newer.ts - older.ts <= SESSION_GAP
        if not same:
            break
        count += 1
    return count


def _by_topic(acts: Sequence[Act], weights: np.ndarray) -> dict[str, float]:
    """Return the share of each topic; dislikes subtract from their topic, down to zero."""
    total: dict[str, float] = {}
    for act, weight in zip(acts, weights.tolist(), strict=True):
        if act.topic is not None:
            total[act.topic] = total.get(act.topic, 0.0) + weight
    positive = {topic: value for topic, value in total.items() if value > 0}
    whole = sum(positive.values())
    return {topic: value / whole for topic, value in positive.items()}


def _decayed(acts: Sequence[Act], half_life: float, step: float) -> np.ndarray:
    weights: np.ndarray = np.array([act.weight for act in acts]) * decayed([act.ts for act in acts], half_life, step)
    return weights


def shares(acts: Sequence[Act], config: SpaceConfig) -> dict[str, float]:
    """Return the share of attention per topic, adding up to 1; ``acts`` are newest first."""
    if not acts:
        return {}
    long = _by_topic(acts, _decayed(acts, config.half_life_days, STEP_DECAY))
    session = acts[: _session(acts)]
    current = _by_topic(session, np.array([act.weight for act in session]))
    mass = float(sum(act.weight for act in session if act.topic and act.weight > 0))
    part = MAX_SESSION_SHARE * mass / (mass + 1) if current and len(session) < len(acts) else 0.0
    topics = dict.fromkeys([*current, *long])
    mixed = {topic: part * current.get(topic, 0.0) + (1 - part) * long.get(topic, 0.0) for topic in topics}
    whole = sum(mixed.values())
    return {topic: value / whole for topic, value in mixed.items() if value > 0}


def _trend(recent: float, long: float) -> Literal["rising", "steady", "fading"]:
    if recent > RISING * long:
        return "rising"
    return "fading" if recent < FADING * long else "steady"


def interests_of(acts: Sequence[Act], config: SpaceConfig, topics: Mapping[str, TopicPoint]) -> list[Interest]:
    """Return the strongest interests, at most ``MAX_INTERESTS``, with weights adding up to 1; ``acts`` are newest first."""
    weights = {topic: share for topic, share in shares(acts, config).items() if topic in topics and share >= MIN_SHARE}
    strongest = sorted(weights, key=lambda topic: (-weights[topic], topic))[:MAX_INTERESTS]
    whole = sum(weights[topic] for topic in strongest)
    decayed_weights = _decayed(acts, config.half_life_days, STEP_DECAY)
    long = _by_topic(acts, decayed_weights)
    recent = _by_topic(acts, _decayed(acts, config.half_life_days / RECENT_HALF_LIVES, STEP_DECAY**RECENT_STEPS))
    return [
        Interest(
            topic=topic,
            label=topics[topic].label,
            keywords=list(topics[topic].keywords),
            weight=round(weights[topic] / whole, 4),
            trend=_trend(recent.get(topic, 0.0), long.get(topic, 0.0)),
            items=_evidence(topic, acts, decayed_weights),
            last_at=datetime.fromtimestamp(max(act.ts for act in acts if act.topic == topic), UTC),
        )
        for topic in strongest
    ]


def _evidence(topic: str, acts: Sequence[Act], weights: np.ndarray) -> list[str]:
    """Return the items that are evidence for a topic, strongest first."""
    total: dict[str, float] = {}
    for act, weight in zip(acts, weights.tolist(), strict=True):
        if act.topic == topic and act.item is not None:
            total[act.item] = total.get(act.item, 0.0) + weight
    positive = (item for item, weight in total.items() if weight > 0)
    return sorted(positive, key=lambda item: -total[item])[:MAX_EVIDENCE]


def rows_of(
    interests: Sequence[Interest], acts: Sequence[Act], config: SpaceConfig, topics: Mapping[str, TopicPoint]
) -> list[list[float]] | None:
    """Return a unit vector per interest: the decayed mean of its events, or else the centroid of its topic.

    Returns None without interests, or if an interest has neither: the multivector of a user has a row for every interest,
    or does not exist.
    """
    weights = _decayed(acts, config.half_life_days, STEP_DECAY).tolist()
    rows: list[list[float]] = []
    for interest in interests:
        row: Any = np.zeros(config.size)
        for act, weight in zip(acts, weights, strict=True):
            if act.topic == interest.topic and weight > 0:
                row = row + weight * sum(act.dense, np.zeros(config.size))
        centroid = topics[interest.topic].dense
        if not row.any() and centroid is not None:
            row = centroid
        if not np.any(row):
            return None
        rows.append([float(x) for x in normalised(np.asarray(row))])
    return rows or None
