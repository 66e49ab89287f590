"""Document frequencies of words among the items of a space, counted by Qdrant's facets."""

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
"""Words whose counts are read, most frequent first; other words count as rare."""
MAX_COUNTS_AGE = 60.0
"""Seconds for which counts are reused."""
MAX_VOCABULARIES = 32
"""Spaces whose counts a process caches."""


@dataclass(frozen=True)
class Vocabulary:
    """Word counts: ``counts[word]`` of ``total`` items have the word. In an empty vocabulary, all words weigh the same."""

    total: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)

    _cache: ClassVar[dict[tuple[int, str], tuple[float, Vocabulary]]] = {}

    def idf(self, word: str) -> float:
        """Return the inverse document frequency as Qdrant computes it: ``ln(1 + (N - n + 0.5) / (n + 0.5))``.

        >>> round(Vocabulary(10, {"film": 5}).idf("film"), 4)
        0.6931
        """
        if not self.total:
            return 1.0
        seen = min(self.counts.get(word, 1), self.total)
        return math.log(1 + (self.total - seen + 0.5) / (seen + 0.5))

    @classmethod
    def of(cls, space: SpaceStore) -> Vocabulary:
        """Return the vocabulary of a space, at most a minute old; reread when the catalogue has changed by a tenth."""
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
