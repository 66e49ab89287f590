"""Folds a user's events into the legs of their profile. Pure: no server, no encoder."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from qdrant_client import models

from llmrec_qdrant.contracts.config import LEGS, SpaceConfig
from llmrec_qdrant.query.folding import (
    MAX_TFIDF_ENTRIES,
    MIN_TFIDF_ENTRY,
    as_sparse,
    decayed_weights,
    sparse_norm,
    summed,
)
from llmrec_qdrant.space.ids import sparse_index
from llmrec_qdrant.space.layout import COLLAB, DENSE, TFIDF

from ..text.idf import Vocabulary
from .vectors import centred, normalised

__all__ = ["Past", "Profile", "UserTower", "fold"]


MAX_PROFILE_WORDS = 24
"""Readable words kept per user."""


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
    norms: Mapping[str, float] = field(default_factory=dict)
    """Length of the weighted sum behind each leg, before it was scaled to norm 1; a leg that is no such sum is missing."""

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
    items = summed(({sparse_index_of(event.item): 1.0}, weight) for event, weight in steps if event.item is not None)
    words = summed((bag, weight) for event, weight in pairs for bag in event.tfidf)
    total = _total(pairs, config)
    return Profile(
        dense=tower.user(recent, config) if tower else _unit(total),
        tfidf=as_sparse(words, MAX_TFIDF_ENTRIES, MIN_TFIDF_ENTRY),
        collab=as_sparse(items, config.history),
        terms=_strongest_words(pairs, vocabulary or Vocabulary()),
        norms={
            **({} if tower else {DENSE: float(np.linalg.norm(total))}),
            TFIDF: sparse_norm(words, MAX_TFIDF_ENTRIES),
            COLLAB: sparse_norm(items, config.history),
        },
    )


def sparse_index_of(qualified: str) -> int:
    """Return the sparse index of a :func:`qualified_item`."""
    tenant, _, item = qualified.partition("\x1f")
    return sparse_index(item, tenant or None)


def qualified_item(item: str, tenant: str) -> str:
    """Join an item id with its tenant, separated by the control character US."""
    return f"{tenant}\x1f{item}"


def _total(pairs: Iterable[tuple[Past, float]], config: SpaceConfig) -> np.ndarray:
    """Return the weighted sum of the events' vectors, float array (size,)."""
    total = np.zeros(config.size, dtype=np.float64)
    for event, weight in pairs:
        for vector in event.dense:
            total += weight * vector
    return centred(total) if config.similarity == "pearson" else total


def _unit(total: np.ndarray) -> list[float] | None:
    return None if np.linalg.norm(total) < 1e-9 else [float(x) for x in normalised(total)]


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
