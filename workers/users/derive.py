"""Derives a user's vectors and payload from their events. Sends no requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.entities import RATED
from llmrec_qdrant.operations.clock import now, timestamp
from llmrec_qdrant.space.layout import DENSE, INTERESTS, TFIDF, Key
from llmrec_qdrant.space.points import Point

from ..behaviour.event_weights import event_weight, interest_weight, rating_reference
from ..behaviour.fold import Past, UserTower, fold, qualified_item
from ..items.assign import SpaceTopics
from ..items.interactions import standing_events, unwanted_items
from ..text.idf import Vocabulary
from . import interests
from .evidence import evidence_of
from .history import moment
from .interests import Act
from .library import Library
from .readable import MAX_RECENT, readable_interests, recent_events

__all__ = ["Derived", "Sources", "derive", "made_with", "read_sources"]


@dataclass(frozen=True)
class Sources:
    """Everything besides their events that the users of one message are derived from."""

    config: SpaceConfig
    library: Library
    vocabulary: Vocabulary
    topics: SpaceTopics
    tower: UserTower | None = None


@dataclass(frozen=True)
class Derived:
    """The vectors and payload to store for a user."""

    vectors: dict[str, Any]
    payload: dict[str, Any]

    @property
    def waiting(self) -> list[str]:
        """Ids of items without vectors; the user is refreshed once they are encoded."""
        ids: list[str] = self.payload[Key.WAITING]
        return ids


def made_with(config: SpaceConfig, fit: str) -> str:
    """Return a stamp of the settings and the fit of topics on which a user's vectors and interests depend."""
    return f"{config.folding} {fit}".rstrip()


def read_sources(events: Sequence[Point], sources: Sources) -> None:
    """Read what :func:`derive` needs to know about these events, newest first: of old events, no vectors."""
    stand, config = standing_events(events, sources.config), sources.config
    sources.library.load(stand[: config.history])
    shown = [*events[:MAX_RECENT], *(stand if sources.topics.fit else [])]
    sources.library.load_titles(shown)


def derive(user: Point, events: Sequence[Point], n_events: int, sources: Sources) -> Derived:
    """Derive the vectors and payload of a user from ``events``, newest first; ``n_events`` also counts those not read."""
    config, library = sources.config, sources.library
    stand = standing_events(events, config)
    used = stand[: config.history]
    past = [_past(event, library, config) for event in used]
    profile = fold(past, config, sources.vocabulary, sources.tower)
    acts = _acts(stand, past, sources)
    topics = sources.topics.by_id(user.get(Key.TENANT, ""))
    strongest = interests.interests_of(acts, config, topics)
    rows = interests.rows_of(strongest, acts, config, topics)
    payload = {
        Key.INTERESTS: readable_interests(strongest, stand, library),
        Key.RECENT: recent_events(events, library),
        Key.TERMS: profile.terms,
        Key.N_EVENTS: n_events,
        Key.UPDATED_AT: now(),
        Key.LEGS: list(profile.vectors),
        Key.SEEN: list(dict.fromkeys(event.payload[Key.ITEM_ID] for event in events if event.get(Key.ITEM_ID))),
        Key.DISLIKED: unwanted_items(events, config),
        Key.LAST: _last_taken(used, past, library),
        Key.WAITING: _waiting(used, library),
        Key.EVIDENCE: evidence_of(used, past, profile, config),
    }
    return Derived(profile.vectors | ({INTERESTS: rows} if rows else {}), payload | _done(sources))


def _done(sources: Sources) -> dict[str, Any]:
    """Return the payload values that complete a refresh and record the model, settings and topics it used."""
    folding = made_with(sources.config, sources.topics.done)
    return {Key.STALE: False, Key.ATTEMPTS: 0, Key.MODEL: sources.config.encoder_id, Key.FOLDING: folding}


def _past(event: Point, library: Library, config: SpaceConfig) -> Past:
    """Return the event in the form that :func:`fold` takes."""
    item = event.get(Key.ITEM_ID)
    about = [point for point in (library.item(event), library.text(event)) if point is not None]
    rows = [row for point in about if (row := point.dense(DENSE)) is not None]
    bags = [bag for point in about if (bag := point.sparse(TFIDF)) is not None]
    return Past(
        ts=moment(event),
        weight=event_weight(event.payload[Key.TYPE], event.get(Key.VALUE), config),
        item=qualified_item(item, event.get(Key.TENANT, "")) if item else None,
        dense=tuple(np.asarray(row, dtype=np.float64) for row in rows),
        tfidf=tuple(dict(zip(bag.indices, bag.values, strict=True)) for bag in bags),
        words=tuple(word for point in about for word in point.get(Key.TERMS, ())),
    )


def _acts(events: Sequence[Point], past: Sequence[Past], sources: Sources) -> list[Act]:
    """Return the events in the form that interests are computed from; empty without topics.

    ``past`` are the latest of them. Of older events, only the topic counts: their vectors are not read.
    """
    if not sources.topics.fit:
        return []
    weights = _interest_weights(events, sources.config)
    rows = [*(entry.dense for entry in past), *([()] * (len(events) - len(past)))]
    present = timestamp(now())  # a clock that runs ahead makes no event newer than the present
    return [
        Act(
            min(moment(event), present),
            weight,
            _topic(event, sources),
            event.get(Key.ITEM_ID),
            event.get(Key.SESSION),
            dense,
        )
        for event, weight, dense in zip(events, weights, rows, strict=True)
    ]


def _interest_weights(events: Sequence[Point], config: SpaceConfig) -> list[float]:
    """Return how much each event says about the user's interests; ratings are judged against their mean."""
    spoken = [(event.payload[Key.TYPE], event.get(Key.VALUE)) for event in events]
    reference = rating_reference([value for kind, value in spoken if kind in RATED and value is not None], config)
    return [interest_weight(kind, value, reference, config) for kind, value in spoken]


def _topic(event: Point, sources: Sources) -> str | None:
    """Return the topic of the event's item, or else the topic that its text is assigned to."""
    item, text = sources.library.item(event), sources.library.text(event)
    topics = item.get(Key.TOPIC_IDS) if item else None
    if topics:
        return str(topics[0])
    if text is None:
        return None
    rule = sources.topics.of(event.get(Key.TENANT, ""))
    (topic,) = rule.assign([text.dense(DENSE)], [text.sparse(TFIDF)])
    return topic.id if topic else None


def _last_taken(events: Sequence[Point], past: Sequence[Past], library: Library) -> str | None:
    """Return the item last taken that is in the catalogue, since only such an item can seed a list."""
    taken = (event for event, entry in zip(events, past, strict=True) if entry.weight > 0 and library.item(event))
    return next((event.payload[Key.ITEM_ID] for event in taken), None)


def _waiting(events: Sequence[Point], library: Library) -> list[str]:
    missing: dict[str, None] = {}
    for event in events:
        item = library.item(event)
        if event.get(Key.ITEM_ID) and not (item and item.get(Key.LEGS)):
            missing[event.payload[Key.ITEM_ID]] = None
    return list(missing)
