"""Turns terms into weights per stem, and into words that a person can read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from itertools import islice

from llmrec_qdrant.space.ids import sparse_index

from .words import SEPARATORS, Term

__all__ = ["indexed", "keywords", "weights"]


def weights(terms: Iterable[Term]) -> dict[str, float]:
    """Return stem → sublinear term frequency ``1 + ln(tf)``, scaled to unit Euclidean length; ``{}`` without terms.

    >>> weights([Term("dune", "dune")])
    {'dune': 1.0}
    """
    raw = {stem: 1.0 + math.log(count) for stem, count in Counter(term.stem for term in terms).items()}
    norm = math.hypot(*raw.values())
    return {stem: value / norm for stem, value in raw.items()}


def indexed(terms: Iterable[Term]) -> dict[int, float]:
    """Return sparse index of a stem → its weight; weights of stems that share an index are added.

    >>> list(indexed([Term("dune", "dune")]).values())
    [1.0]
    """
    summed: dict[int, float] = {}
    for stem, weight in weights(terms).items():
        index = sparse_index(stem)
        summed[index] = summed.get(index, 0.0) + weight
    return summed


def keywords(terms: Iterable[Term], limit: int = 24) -> list[str]:
    """Return up to ``limit`` distinct readable words: most frequent stems first, ties by first appearance.

    A stem is represented by its most frequent word; ties by length, then by first appearance.

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
    """Whether a Han word is only part of another, like 测器 in 探测器: it serves matching, not reading."""
    return len(word) == 2 and word > "\u2e7f" and any(len(other) == 3 and word in other for other in shown)
