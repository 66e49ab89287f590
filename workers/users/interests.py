"""Derives a user's interests from their events: topics with a weight, a trend and items as evidence. Pure.

Interests are the person, not the last click: events fade with time, not with what came after them. Two profiles are mixed.

- *Long-term*: an event counts ``w · 0.5^(age / interest_half_life_days)``. Age is active time up to the newest event: an
  absence counts as ``MAX_PAUSE`` days at most, so that the first click after years does not outweigh the years before.
- *Visit*: an event counts ``w · 0.5^(age / session_half_life_hours)``; events with the newest event's session id, in full.

The visit's part grows with the number *n* of items it is spread over, as ``0.6 · n² / (n² + 2)``: 0.20 after one event
whatever its weight, 0.49 after three, and never more than 0.6. So what a user cared about before keeps at least 0.4, and the
next visit starts anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np

from llmrec_qdrant.contracts.answers import Interest
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.query.folding import DAY

from ..behaviour.vectors import normalised
from ..items.topic_rule import TopicPoint

__all__ = ["Act", "interests_of", "rows_of", "shares"]


MAX_PAUSE = 30.0
"""Days that an absence of the user counts at most."""
MAX_VISIT_PART = 0.6
"""Part of the attention that the present visit approaches."""
HALF_SQUARE = 2.0
"""Square of the number of items at which a visit has half of that part."""
RECENT_HALF_LIVES = 36
"""How many times faster the recent share decays than the long-term share (five days by default); a trend compares both."""
MAX_INTERESTS = 8
MAX_VISIT_INTERESTS = 3
"""Interests that may come from the visit alone."""
MIN_SHARE = 0.03
"""Share of a profile below which a topic does not count as an interest; half an even share is enough among many topics."""
MAX_EVIDENCE = 5
"""Items shown per interest."""
RISING, FADING = 1.3, 0.7
"""Ratio of the recent to the long-term share above which an interest rises, and below which it fades."""

Shares = dict[str, float]
"""Topic → share of attention."""


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


@dataclass(frozen=True)
class _Profiles:
    """Both profiles of a user. Weights are those of the acts, newest first."""

    long: np.ndarray
    visit: np.ndarray
    recent: np.ndarray
    """As ``long``, with a shorter half-life."""
    part: float
    """Part of the visit."""

    @classmethod
    def of(cls, acts: Sequence[Act], config: SpaceConfig) -> _Profiles:
        """Weigh the acts of a user, newest first."""
        weights = np.array([act.weight for act in acts])
        moments = np.array([act.ts for act in acts])
        days = np.cumsum(np.minimum(-np.diff(moments, prepend=moments[:1]) / DAY, MAX_PAUSE))
        hours = (moments[:1] - moments) * 24 / DAY
        same = np.array([act.session is not None and act.session == acts[0].session for act in acts], dtype=bool)
        visit = weights * 0.5 ** (np.where(same, 0.0, hours) / config.session_half_life_hours)
        long, recent = (
            weights * 0.5 ** (days / half_life)
            for half_life in (config.interest_half_life_days, config.interest_half_life_days / RECENT_HALF_LIVES)
        )
        return cls(long, visit, recent, _visit_part(acts, visit))

    @property
    def mixed(self) -> np.ndarray:
        """Weight of each act in both profiles together."""
        long, visit = (rows / max(np.abs(rows).sum(), 1e-12) for rows in (self.long, self.visit))
        mixed: np.ndarray = (1 - self.part) * long + self.part * visit
        return mixed


def _visit_part(acts: Sequence[Act], weights: np.ndarray) -> float:
    """Return the part of a visit, by the effective number of its items (Kish): ``(Σw)² / Σw²``."""
    of_item: dict[str, float] = {}
    for place, (act, weight) in enumerate(zip(acts, weights.tolist(), strict=True)):
        if act.topic is not None and weight > 0:
            item = act.item if act.item is not None else f"\x1f{place}"
            of_item[item] = of_item.get(item, 0.0) + weight
    values = np.array(list(of_item.values()))
    square = values.sum() ** 4 / max((values**2).sum() ** 2, 1e-300) if len(values) else 0.0
    return float(MAX_VISIT_PART * square / (square + HALF_SQUARE))


def _by_topic(acts: Sequence[Act], weights: np.ndarray) -> Shares:
    """Return the share of each topic; dislikes subtract from their topic, down to zero."""
    total: Shares = {}
    for act, weight in zip(acts, weights.tolist(), strict=True):
        if act.topic is not None:
            total[act.topic] = total.get(act.topic, 0.0) + weight
    return _scaled({topic: value for topic, value in total.items() if value > 0})


def _scaled(shares: Shares) -> Shares:
    whole = sum(shares.values())
    return {topic: value / whole for topic, value in shares.items()}


def _mixed(long: Shares, visit: Shares, part: float) -> Shares:
    """Mix the shares of both profiles; a profile without topics has no part."""
    part = part if long and visit else float(not long)
    topics = dict.fromkeys([*visit, *long])
    return {topic: part * visit.get(topic, 0.0) + (1 - part) * long.get(topic, 0.0) for topic in topics}


def shares(acts: Sequence[Act], config: SpaceConfig) -> Shares:
    """Return the share of attention per topic, adding up to 1; ``acts`` are newest first."""
    profiles = _Profiles.of(acts, config)
    return _mixed(_by_topic(acts, profiles.long), _by_topic(acts, profiles.visit), profiles.part)


def _strongest(acts: Sequence[Act], profiles: _Profiles, known: Collection[str]) -> Shares:
    """Return the shares of the interests, strongest first.

    They are chosen from each profile and scaled before both are mixed: a visit takes its part, and drives none of the
    long-term interests below the threshold.
    """
    long, visit = (
        _scaled(_large({topic: share for topic, share in _by_topic(acts, weights).items() if topic in known}))
        for weights in (profiles.long, profiles.visit)
    )
    kept = [*_ranked(visit)[:MAX_VISIT_INTERESTS], *_ranked(long)]
    chosen = list(dict.fromkeys(kept))[:MAX_INTERESTS]
    of_long, of_visit = (_scaled({topic: part[topic] for topic in chosen if topic in part}) for part in (long, visit))
    mixed = _mixed(of_long, of_visit, profiles.part)
    return {topic: mixed[topic] for topic in _ranked(mixed)}


def _large(shares: Shares) -> Shares:
    threshold = min(MIN_SHARE, 0.5 / max(len(shares), 1))
    return {topic: share for topic, share in shares.items() if share >= threshold}


def _ranked(shares: Shares) -> list[str]:
    return sorted(shares, key=lambda topic: (-shares[topic], topic))


def _trend(recent: float, long: float) -> Literal["rising", "steady", "fading"]:
    if recent > RISING * long:
        return "rising"
    return "fading" if recent < FADING * long else "steady"


def interests_of(acts: Sequence[Act], config: SpaceConfig, topics: Mapping[str, TopicPoint]) -> list[Interest]:
    """Return the strongest interests, at most ``MAX_INTERESTS``, with weights adding up to 1; ``acts`` are newest first."""
    profiles = _Profiles.of(acts, config)
    long, recent = _by_topic(acts, profiles.long), _by_topic(acts, profiles.recent)
    mixed = profiles.mixed
    return [
        Interest(
            topic=topic,
            label=topics[topic].label,
            keywords=list(topics[topic].keywords),
            weight=round(share, 4),
            trend=_trend(recent.get(topic, 0.0), long.get(topic, 0.0)),
            items=_evidence(topic, acts, mixed),
            last_at=datetime.fromtimestamp(max(act.ts for act in acts if act.topic == topic), UTC),
        )
        for topic, share in _strongest(acts, profiles, topics).items()
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
    """Return a unit vector per interest: the mean of its events by their weight, or else the centroid of its topic.

    Returns None without interests, or if an interest has neither: the multivector of a user has a row for every interest,
    or does not exist.
    """
    weights = _Profiles.of(acts, config).mixed.tolist()
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
