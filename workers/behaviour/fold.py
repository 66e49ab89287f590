"""Folds a user's events into the legs of their profile. Pure: no server, no encoder."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from qdrant_client import models

from llmrec_qdrant.contracts.config import LEGS, SpaceConfig
from llmrec_qdrant.space.ids import sparse_index
from llmrec_qdrant.space.layout import COLLAB, DENSE, TFIDF

from ..text.idf import Vocabulary
from .event_weights import decayed
from .vectors import centred, normalised

__all__ = ["Past", "Profile", "UserTower", "decayed_weights", "fold"]


MAX_TFIDF_ENTRIES = 512
"""Entries kept in a user's tfidf vector, strongest first."""


MIN_TFIDF_ENTRY = 1e-4
"""Smallest entry of a user's tfidf vector, which has norm 1. Words of events long ago change no list, but each costs a search of
its postings: with a hundred events they are more than half of all entries. The collab leg keeps even the smallest entries, since
they propose items that nothing else proposes."""


MAX_PROFILE_WORDS = 24
"""Readable words kept per user."""


MIN_MASS = 1e-9
"""Weight of a word or item, after subtracting the dislikes, that is no more than rounding."""


MAX_DISLIKE_RATIO = 1.0
"""Greatest total weight of dislikes relative to likes; beyond it, the profile would be the mere opposite of the dislikes."""


@dataclass(frozen=True)
class Past:
    """An event with everything the profile takes from it."""

    ts: float
    """Unix seconds."""
    weight: float
    item: str | None = None
    dense: tuple[np.ndarray, ...] = ()
    """Unit vectors of its item and its text, as far as they exist."""
    tfidf: tuple[Mapping[int, float], ...] = ()
    words: tuple[str, ...] = ()


class UserTower(Protocol):
    """Computes the dense vector of a user: see ``encoding/tower_encoder.py``."""

    def user(self, past: Sequence[Past], config: SpaceConfig) -> list[float] | None:
        """Return the user's dense vector, given events newest first; None if they carry no signal."""


@dataclass(frozen=True)
class Profile:
    """The legs of a user; a leg without a vector is None."""

    dense: list[float] | None = None
    tfidf: models.SparseVector | None = None
    collab: models.SparseVector | None = None
    terms: list[str] = field(default_factory=list)

    @property
    def vectors(self) -> dict[str, Any]:
        """The named vectors that exist."""
        named: dict[str, Any] = {DENSE: self.dense, TFIDF: self.tfidf, COLLAB: self.collab}
        return {leg: named[leg] for leg in LEGS if named[leg] is not None}


def fold(
    past: Sequence[Past], config: SpaceConfig, vocabulary: Vocabulary | None = None, tower: UserTower | None = None
) -> Profile:
    """Fold events, newest first, into the legs of a user.

    - dense: Σ w·v, scaled to norm 1, or the vector of a trained user ``tower``
    - tfidf: Σ w·tf, its strongest entries, scaled to norm 1, without negligible ones
    - collab: item → Σ w, with ``collab_decay`` instead of ``position_decay``, scaled to norm 1

    A sparse leg lists overlapping points only, so a negative entry would list what is disliked: words and items keep what
    the dislikes leave of them, and never less than nothing. A leg whose sum is empty or cancels out is None; a user who
    likes nothing has no legs.
    """
    if not any(event.weight > 0 for event in past[: config.history]):
        return Profile()
    recent = list(past[: config.history])
    moments, weights = [event.ts for event in recent], np.array([event.weight for event in recent])
    pairs = list(zip(recent, decayed_weights(moments, weights, config, config.position_decay).tolist(), strict=True))
    steps = list(zip(recent, decayed_weights(moments, weights, config, config.collab_decay).tolist(), strict=True))
    items = (({sparse_index_of(event.item): 1.0}, weight) for event, weight in steps if event.item is not None)
    words = ((bag, weight) for event, weight in pairs for bag in event.tfidf)
    return Profile(
        dense=tower.user(recent, config) if tower else _fold_dense(pairs, config),
        tfidf=_as_sparse(_summed(words), MAX_TFIDF_ENTRIES, MIN_TFIDF_ENTRY),
        collab=_as_sparse(_summed(items), config.history),
        terms=_strongest_words(pairs, vocabulary or Vocabulary()),
    )


def decayed_weights(moments: Sequence[float], weights: np.ndarray, config: SpaceConfig, decay: float) -> np.ndarray:
    """Return the ``weights`` of events, newest first, decayed and with dislikes bounded; float array (events,).

    The steps of an event are the newer events that speak for something: a dislike makes no like fade.

    >>> config = SpaceConfig(half_life_days=1)
    >>> decayed_weights([86_400.0, 86_400.0, 0.0], np.array([1.0, -0.5, 1.0]), config, 0.5).tolist()
    [1.0, -0.25, 0.25]
    """
    steps: np.ndarray = np.cumsum(weights > 0) - (weights > 0)
    return _bounded(decayed(moments, config.half_life_days, decay, steps) * weights)


def _bounded(weights: np.ndarray) -> np.ndarray:
    """Scale negative weights down if their sum exceeds ``MAX_DISLIKE_RATIO`` times the sum of the positive ones.

    >>> _bounded(np.array([2.0, -1.0, -3.0])).tolist()
    [2.0, -0.5, -1.5]
    >>> _bounded(np.array([-1.0])).tolist()
    [-1.0]
    """
    likes, dislikes = float(weights[weights > 0].sum()), float(-weights[weights < 0].sum())
    if not likes or dislikes <= MAX_DISLIKE_RATIO * likes:
        return weights
    return np.where(weights < 0, weights * (MAX_DISLIKE_RATIO * likes / dislikes), weights)


def sparse_index_of(qualified: str) -> int:
    """Return the sparse index of a :func:`qualified_item`."""
    tenant, _, item = qualified.partition("\x1f")
    return sparse_index(item, tenant or None)


def qualified_item(item: str, tenant: str) -> str:
    """Join an item id with its tenant, separated by the control character US."""
    return f"{tenant}\x1f{item}"


def _fold_dense(pairs: Iterable[tuple[Past, float]], config: SpaceConfig) -> list[float] | None:
    total = np.zeros(config.size, dtype=np.float64)
    for event, weight in pairs:
        for vector in event.dense:
            total += weight * vector
    if config.similarity == "pearson":
        total = centred(total)
    if np.linalg.norm(total) < 1e-9:
        return None
    return [float(x) for x in normalised(total)]


def _summed(bags: Iterable[tuple[Mapping[int, float], float]]) -> dict[int, float]:
    total: dict[int, float] = {}
    for bag, weight in bags:
        for index, value in bag.items():
            total[index] = total.get(index, 0.0) + weight * value
    return total


def _as_sparse(total: Mapping[int, float], width: int, smallest: float = 0.0) -> models.SparseVector | None:
    """Scale the ``width`` strongest positive entries to norm 1 and drop those below ``smallest``; None without any."""
    positive = [(index, value) for index, value in total.items() if value > MIN_MASS]
    if not positive:
        return None
    strongest = sorted(positive, key=lambda pair: (-pair[1], pair[0]))[:width]
    norm = float(np.linalg.norm([value for _, value in strongest]))
    scaled = [(index, value / norm) for index, value in strongest if value / norm >= smallest]
    return models.SparseVector(indices=[index for index, _ in scaled], values=[value for _, value in scaled])


def _strongest_words(pairs: Iterable[tuple[Past, float]], vocabulary: Vocabulary) -> list[str]:
    """Return the words of the heaviest events. Square roots keep a single heavy event from filling the list."""
    total: dict[str, float] = {}
    for event, weight in pairs:
        share = math.copysign(abs(weight) ** 0.5, weight) / max(len(event.words), 1) ** 0.5
        for word in event.words:
            total[word] = total.get(word, 0.0) + share
    total = {word: weight * vocabulary.idf(word) for word, weight in total.items()}
    ranked = sorted((word for word, weight in total.items() if weight > 0), key=lambda word: (-total[word], word))
    return ranked[:MAX_PROFILE_WORDS]
