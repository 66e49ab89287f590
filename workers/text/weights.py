"""Terms → weights per stem, and the words that a person reads."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from itertools import islice

from llmrec_qdrant.space.ids import sparse_index

from .words import SEPARATORS, Term

__all__ = ["indexed", "keywords", "weights"]


def weights(terms: Iterable[Term]) -> dict[str, float]:
    """Stem → sublinear term frequency ``1 + ln(tf)``, scaled to unit Euclidean length; ``{}`` for none.

    >>> weights([Term("dune", "dune")])
    {'dune': 1.0}
    """
    raw = {stem: 1.0 + math.log(count) for stem, count in Counter(term.stem for term in terms).items()}
    norm = math.hypot(*raw.values())
    return {stem: value / norm for stem, value in raw.items()}


def indexed(terms: Iterable[Term]) -> dict[int, float]:
    """Index of a stem in sparse vectors → its weight; weights of stems that share an index are added.

    >>> list(indexed([Term("dune", "dune")]).values())
    [1.0]
    """
    summed: dict[int, float] = {}
    for stem, weight in weights(terms).items():
        index = sparse_index(stem)
        summed[index] = summed.get(index, 0.0) + weight
    return summed


def keywords(terms: Iterable[Term], limit: int = 24) -> list[str]:
    """Up to ``limit`` distinct readable words: the most frequent stem first, ties by first appearance.

    A stem is shown by its most frequent word; of equally frequent ones by the shortest, then by the first.

    >>> keywords([Term("stori", "story"), Term("robot", "robots"), Term("robot", "robot"), Term("robot", "robot")])
    ['robot', 'story']
    """
    totals: Counter[str] = Counter()
    best: dict[str, tuple[int, int, str]] = {}  # stem → (−count, length, word), in order of appearance
    for (stem, word), count in Counter(terms).items():
        totals[stem] += count
        candidate = (-count, len(word), word)
        if stem not in best or candidate[:2] < best[stem][:2]:
            best[stem] = candidate
    shown = dict.fromkeys(best[stem][2] for stem in sorted(best, key=lambda stem: -totals[stem]))
    pieces = {piece for word in shown if "-" in word for piece in SEPARATORS.split(word)}
    whole = (word for word in shown if word not in pieces and not _is_fragment(word, shown))
    return list(islice(whole, max(limit, 0)))


def _is_fragment(word: str, shown: Iterable[str]) -> bool:
    """Whether a Han word only stands inside another one, as 测器 in 探测器: it is for matching, not for reading."""
    return len(word) == 2 and word > "\u2e7f" and any(len(other) == 3 and word in other for other in shown)
