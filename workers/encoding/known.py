"""The vocabulary of trained towers: words and item texts that have learned vectors."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from scipy import sparse

from ..behaviour.vectors import normalised
from ..text.weights import indexed
from ..text.words import terms

__all__ = ["Known", "Read", "code", "codes", "known_digest"]


MAX_WORD_SHARE = 0.2
"""Share of the items above which a word is too common to be learned."""


PRIOR_USERS = 10.0
"""Prior of the trust in a learned vector: with n users behind it, its weight is √(n / (n + PRIOR_USERS))."""


def known_digest(text: str) -> int:
    """Return the key of a text in a model's vocabulary: the first 63 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@lru_cache(maxsize=100_000)
def code(index: int, width: int) -> np.ndarray:
    """Return the code of an item, seeded by its sparse index: ``width`` random signs, scaled to norm 1."""
    signs = np.random.default_rng(index).integers(0, 2, width) * 2.0 - 1.0
    return (signs / math.sqrt(max(width, 1))).astype(np.float32)


def codes(indexes: Sequence[int], width: int) -> np.ndarray:
    """Return the code of each item, float32 (items, width)."""
    return np.array([code(index, width) for index in indexes], dtype=np.float32).reshape(-1, width)


class Read(NamedTuple):
    """Non-dense inputs of the towers: word weights and text digests."""

    words: list[dict[int, float]]
    """Per text: sparse index of a word → its weight."""
    digests: np.ndarray
    """(texts,) int64: see :func:`known_digest`."""

    @classmethod
    def of(cls, texts: Sequence[str], stemmer: str) -> Read:
        """Extract words and digests from cleaned texts."""
        digests = np.array([known_digest(text) for text in texts], dtype=np.int64)
        return cls([indexed(terms(text, stemmer)) for text in texts], digests)


@dataclass(frozen=True)
class Known:
    """Words and texts with learned vectors, and the factors that scale these vectors."""

    words: np.ndarray
    """int64, ascending: sparse indices of words."""
    idf: np.ndarray
    """float32: inverse document frequency of each word."""
    digests: np.ndarray
    """int64, ascending: see :func:`known_digest`."""
    sketches: np.ndarray
    """float32 (digests, width): the third block of each text."""
    trust: np.ndarray
    """float32, words then texts: weight of each learned vector, from 0 to 1, by the number of users behind it."""
    stemmer: str

    @classmethod
    def of(cls, items: Read, users: np.ndarray, digests: np.ndarray, sketches: np.ndarray, stemmer: str) -> Known:
        """Collect the vocabulary of ``items``; ``users`` is the number of users who took each, int array (items,).

        Words in more than ``MAX_WORD_SHARE`` of the items are left out. IDF is computed as Qdrant does.
        """
        count = len(items.words)
        every = np.array([word for row in items.words for word in row], dtype=np.int64)
        words, places, counts = np.unique(every, return_inverse=True, return_counts=True)
        rare = counts <= MAX_WORD_SHARE * count
        idf = np.log1p((count - counts + 0.5) / (counts + 0.5)).astype(np.float32)
        of_words = np.bincount(places, np.repeat(users, [len(row) for row in items.words]), minlength=len(words))
        rows, known = _find(digests, items.digests)
        of_texts = np.bincount(rows[known], users[known], minlength=len(digests))
        learned_from = np.concatenate([of_words[rare], of_texts])
        trust = np.sqrt(learned_from / (learned_from + PRIOR_USERS)).astype(np.float32)
        return cls(words[rare], idf[rare], digests, sketches, trust, stemmer)

    @cached_property
    def reach(self) -> float:
        """Length of the longest sketch, at least 1."""
        return float(np.linalg.norm(self.sketches, axis=1).max(initial=1.0))

    @property
    def learned(self) -> int:
        """Number of learned vectors: one per word, then one per text."""
        return len(self.words) + len(self.digests)

    def bags(self, texts: Read) -> sparse.csr_matrix:
        """Return the weights of the learned vectors in each text, float32 (texts, learned).

        A known word weighs its TF-IDF, scaled to norm 1 per text, and a known text weighs 1; both are multiplied by trust.
        """
        columns: list[np.ndarray] = []
        values: list[np.ndarray] = []
        for bag, place in zip(texts.words, self._places(texts).tolist(), strict=True):
            words, known = _find(self.words, np.fromiter(bag.keys(), np.int64, len(bag)))
            weights = np.fromiter(bag.values(), np.float32, len(bag))[known] * self.idf[words[known]]
            of_text = [len(self.words) + place] if place >= 0 else []
            columns.append(np.append(words[known], of_text).astype(np.int64))
            values.append(np.append(normalised(weights), np.ones(len(of_text))) * self.trust[columns[-1]])
        ends = np.cumsum([0, *map(len, columns)])
        data = (np.concatenate(values), np.concatenate(columns), ends) if columns else ([], [], [0])
        return sparse.csr_matrix(data, shape=(len(texts.words), self.learned), dtype=np.float32)

    def sketched(self, texts: Read) -> np.ndarray:
        """Return the sketch of each text, float32 (texts, width); zero if it was no item in training."""
        rows = np.zeros((len(texts.digests), self.sketches.shape[1]), dtype=np.float32)
        places = self._places(texts)
        rows[places >= 0] = self.sketches[places[places >= 0]]
        return rows

    def _places(self, texts: Read) -> np.ndarray:
        places, known = _find(self.digests, texts.digests)
        return np.where(known, places, -1)


def _find(ascending: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the position in ``ascending`` of each ``wanted`` value, and a mask of those that occur."""
    if not len(ascending):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    places = np.searchsorted(ascending, wanted).clip(max=len(ascending) - 1)
    return places, ascending[places] == wanted
