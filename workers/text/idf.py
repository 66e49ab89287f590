"""Document frequencies of the readable words among the items of a space, from Qdrant's facets."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from llmrec_qdrant.space.layout import Key

from ..storage.store import SpaceStore

__all__ = ["Vocabulary"]


MAX_COUNTED_WORDS = 20_000
"""Words read, most frequent first; a word beyond them counts as rare."""
MAX_COUNTS_AGE = 60.0
"""Seconds for which counts are reused."""
MAX_VOCABULARIES = 32
"""Spaces whose counts a process remembers."""


@dataclass(frozen=True)
class Vocabulary:
    """``counts[word]`` of ``total`` items have the word. Empty: every word counts alike."""

    total: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)

    _cache: ClassVar[dict[tuple[int, str], tuple[float, Vocabulary]]] = {}

    def idf(self, word: str) -> float:
        """Inverse document frequency as Qdrant computes it: ``ln(1 + (N - n + 0.5) / (n + 0.5))``.

        >>> round(Vocabulary(10, {"film": 5}).idf("film"), 4)
        0.6931
        """
        if not self.total:
            return 1.0
        seen = min(self.counts.get(word, 1), self.total)
        return math.log(1 + (self.total - seen + 0.5) / (seen + 0.5))

    @classmethod
    def of(cls, space: SpaceStore) -> Vocabulary:
        """The vocabulary of a space, at most a minute old; read anew when the catalogue has changed by a tenth."""
        key = (id(space.client), space.name)
        read_at, known = cls._cache.get(key, (0.0, cls()))
        total = space.items.count()
        recent = time.monotonic() - read_at < MAX_COUNTS_AGE and abs(total - known.total) <= 0.1 * known.total
        if known.total and recent:
            return known
        vocabulary = cls(total, space.items.facet(Key.TERMS, limit=MAX_COUNTED_WORDS))
        if len(cls._cache) > MAX_VOCABULARIES:
            cls._cache.clear()
        cls._cache[key] = (time.monotonic(), vocabulary)
        return vocabulary
