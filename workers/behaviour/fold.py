"""Events of a user → the legs of their profile. Pure: no server, no encoder."""

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

__all__ = ["Past", "Profile", "UserTower", "fold", "pulls", "recency"]


MAX_TFIDF_ENTRIES = 512
"""Entries kept in a user's tfidf vector, strongest first."""


MAX_PROFILE_WORDS = 24
"""Readable words kept per user."""


MAX_DISLIKE_RATIO = 1.0
"""Greatest total weight of dislikes, relative to all likes: beyond it, a user would become the opposite of their dislikes."""


@dataclass(frozen=True)
class Past:
    """One event as the profile sees it."""

    ts: float
    """Unix seconds."""
    weight: float
    item: str | None = None
    dense: tuple[np.ndarray, ...] = ()
    """Unit vectors: of the item, of the text, of both."""
    tfidf: tuple[Mapping[int, float], ...] = ()
    words: tuple[str, ...] = ()


class UserTower(Protocol):
    """Computes the dense vector of a user: see ``encoding/tower_encoder.py``."""

    def user(self, past: Sequence[Past], config: SpaceConfig) -> list[float] | None:
        """The vector from events, newest first; None if they say nothing."""


@dataclass(frozen=True)
class Profile:
    """The legs of a user; an empty leg is None."""

    dense: list[float] | None = None
    tfidf: models.SparseVector | None = None
    collab: models.SparseVector | None = None
    terms: list[str] = field(default_factory=list)

    @property
    def vectors(self) -> dict[str, Any]:
        """The named vectors that exist."""
        named: dict[str, Any] = {DENSE: self.dense, TFIDF: self.tfidf, COLLAB: self.collab}
        return {leg: named[leg] for leg in LEGS if named[leg] is not None}


def recency(moments: Sequence[float], config: SpaceConfig, decay: float | None = None) -> np.ndarray:
    """Weights of events, newest first, by the half-life of the space; ``decay`` is ``position_decay`` if not given."""
    return decayed(moments, config.half_life_days, config.position_decay if decay is None else decay)


def fold(
    past: Sequence[Past], config: SpaceConfig, vocabulary: Vocabulary | None = None, tower: UserTower | None = None
) -> Profile:
    """The legs of a user from events, newest first.

    - dense: Σ w·v, scaled to norm 1, or the vector of a trained user ``tower``
    - tfidf: Σ w·tf, its strongest entries, scaled to norm 1
    - collab: item → Σ w, with a decay of its own, scaled to norm 1

    A sum that is empty or cancels out gives no leg.
    """
    recent = list(past[: config.history])
    moments, said = [act.ts for act in recent], np.array([act.weight for act in recent])
    pairs = list(zip(recent, pulls(moments, said, config, config.position_decay).tolist(), strict=True))
    steps = list(zip(recent, pulls(moments, said, config, config.collab_decay).tolist(), strict=True))
    return Profile(
        dense=tower.user(recent, config) if tower else _fold_dense(pairs, config),
        tfidf=_as_sparse(_summed((bag, w) for act, w in pairs for bag in act.tfidf), MAX_TFIDF_ENTRIES),
        collab=_as_sparse(
            _summed(({sparse_index_of(act.item): 1.0}, w) for act, w in steps if act.item is not None), config.history
        ),
        terms=_strongest(pairs, vocabulary or Vocabulary()),
    )


def pulls(moments: Sequence[float], said: np.ndarray, config: SpaceConfig, decay: float) -> np.ndarray:
    """Weight of each event, newest first: what it ``said``, decayed by its age, with dislikes bounded."""
    return _bounded(recency(moments, config, decay) * said)


def _bounded(weights: np.ndarray) -> np.ndarray:
    """The weights; negative ones are scaled down if they outweigh ``MAX_DISLIKE_RATIO`` of the positive ones.

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
    """Sparse index of ``tenant<US>item``; see :func:`qualified_item`."""
    tenant, _, item = qualified.partition("\x1f")
    return sparse_index(item, tenant or None)


def qualified_item(item: str, tenant: str) -> str:
    """An item id together with its tenant."""
    return f"{tenant}\x1f{item}"


def _fold_dense(pairs: Iterable[tuple[Past, float]], config: SpaceConfig) -> list[float] | None:
    total = np.zeros(config.size, dtype=np.float64)
    for act, weight in pairs:
        for vector in act.dense:
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


def _as_sparse(total: Mapping[int, float], width: int) -> models.SparseVector | None:
    kept = sorted(total.items(), key=lambda pair: (-abs(pair[1]), pair[0]))[:width]
    norm = float(np.linalg.norm([value for _, value in kept])) if kept else 0.0
    if norm < 1e-9:
        return None
    return models.SparseVector(indices=[index for index, _ in kept], values=[value / norm for _, value in kept])


def _strongest(pairs: Iterable[tuple[Past, float]], vocabulary: Vocabulary) -> list[str]:
    """The words of the heaviest events; square roots of the weights keep the last event from filling the list."""
    total: dict[str, float] = {}
    for act, weight in pairs:
        for word in act.words:
            total[word] = (
                total.get(word, 0.0)
                + math.copysign(abs(weight) ** 0.5, weight) * vocabulary.idf(word) / max(len(act.words), 1) ** 0.5
            )
    ranked = sorted((word for word, weight in total.items() if weight > 0), key=lambda word: (-total[word], word))
    return ranked[:MAX_PROFILE_WORDS]
