"""How common each readable word is among the items of a space, from Qdrant's facets."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from qdrant_client import QdrantClient

from llmrec_qdrant.operations.translate import translated
from llmrec_qdrant.space.layout import Key, Space

from ..storage import store

__all__ = ["Vocabulary"]


WORDS = 20_000
"""Most frequent words that are read; a word beyond them counts as rare."""


AGE = 60.0
"""Seconds that counts are reused."""


@dataclass(frozen=True)
class Vocabulary:
    """Document frequencies: ``counts[word]`` of ``total`` items. Empty: every word counts alike."""

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
    def of(cls, client: QdrantClient, space: Space) -> Vocabulary:
        """The vocabulary of a space, at most a minute old."""
        key = (id(client), space.name)
        at, known = cls._cache.get(key, (0.0, cls()))
        total = store.count(client, space.items)
        fresh = time.monotonic() - at < AGE and abs(total - known.total) <= 0.1 * known.total
        if known.total and fresh:
            return known
        with translated():
            facet = client.facet(space.items, key=Key.TERMS, limit=WORDS)
        made = cls(total, {str(hit.value): hit.count for hit in facet.hits})
        if len(cls._cache) > 32:
            cls._cache.clear()
        cls._cache[key] = (time.monotonic(), made)
        return made
