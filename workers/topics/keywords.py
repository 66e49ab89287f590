"""Describes topics in words: class-based word weights, readable keywords, short labels. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Literal

import numpy as np
from scipy import sparse
from stopwordsiso import stopwords

from ..text.words import Term

__all__ = ["distinctive", "fragments", "keywords", "label", "readable", "says", "word_weights"]


PRIOR_WORDS = 5.0
"""Words drawn from the whole catalogue that are added to each topic, so that a single word cannot characterise a small one."""


MAX_KEYWORDS = 10
"""Keywords per topic."""


LABEL_WORDS = 3
"""Words of a label, unless more are needed to tell it from other labels."""


MAX_LABEL_LENGTH = 40
"""Characters of a label."""


def _shares(counts: sparse.csr_matrix, labels: np.ndarray, prior: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of each word in each topic, (topics, words), and in all texts, (words,)."""
    size = int(labels.max()) + 1
    members = sparse.csr_matrix((np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(size, len(labels)))
    totals = np.asarray((members @ counts).todense(), dtype=np.float64)
    everywhere = totals.sum(axis=0) / max(totals.sum(), 1e-9)
    share = (totals + prior * everywhere) / (totals.sum(axis=1, keepdims=True) + prior)
    return share, everywhere


def word_weights(counts: sparse.csr_matrix, labels: np.ndarray) -> np.ndarray:
    """Return the pointwise mutual information ``ln(p(word | topic) / p(word))``, at least 0, shape (topics, words).

    Summed over the words of a text, it is the log-likelihood ratio by which naive Bayes decides.
    """
    share, everywhere = _shares(counts, labels, PRIOR_WORDS)
    weights: np.ndarray = np.maximum(np.log(np.maximum(share, 1e-12) / np.maximum(everywhere, 1e-12)), 0)
    return weights


def distinctive(counts: sparse.csr_matrix, labels: np.ndarray) -> np.ndarray:
    """Return ``p(w | t) · ln(p(w | t) / p(w))``, shape (topics, words): each word's part of a topic's divergence from all.

    This is class-based TF-IDF (Grootendorst 2022) in its information-theoretic form: frequent here, rare elsewhere.
    """
    share, everywhere = _shares(counts, labels, PRIOR_WORDS)
    weights: np.ndarray = share * np.log(np.maximum(share, 1e-12) / np.maximum(everywhere, 1e-12))
    return weights


def readable(texts: Iterable[Sequence[Term]]) -> dict[str, str]:
    """Return stem → its most frequent written form; ties go to the shortest.

    >>> readable([[Term("movi", "movies"), Term("movi", "movie"), Term("movi", "movie")]])
    {'movi': 'movie'}
    """
    forms: dict[str, Counter[str]] = {}
    for text in texts:
        for stem, word in text:
            forms.setdefault(stem, Counter())[word] += 1
    return {stem: min(seen, key=lambda word: (-seen[word], len(word), word)) for stem, seen in forms.items()}


@lru_cache(maxsize=1 << 15)
def says(word: str) -> Literal["name", "person", "word", "nothing"]:
    """Classify a word: ``name`` (a Chinese noun), ``person`` (a person's name), ``word`` (a verb, an adjective) or ``nothing`` (两个, 以及).

    Latin words are names unless they are on a long list of common words (first, back, take).

    >>> [says(word) for word in ("太空", "约翰", "回到", "两个", "space", "first")]
    ['name', 'person', 'word', 'nothing', 'name', 'word']
    """
    if not "\u4e00" <= word[:1] <= "\u9fff":
        return "word" if word in _common() else "name"
    from rjieba import tag

    kind = next((kind for _, kind in tag(word)), "n")
    if kind[0] in "mqrpcudfeoywk":
        return "nothing"
    if kind in {"nr", "nrt", "nrfg"}:
        return "person"
    return "word" if kind in {"v", "vd", "a", "ad", "z", "b"} else "name"


@cache
def _common() -> frozenset[str]:
    return frozenset(stopwords("en"))


def keywords(
    weights: np.ndarray, stems: Sequence[str], forms: Mapping[str, str], most: int = MAX_KEYWORDS
) -> list[str]:
    """Return up to ``most`` readable words of a topic, strongest first; skip words that repeat part of another."""
    shown: list[str] = []
    for column in np.argsort(-weights, kind="stable")[: 10 * most]:
        word = forms.get(stems[column], stems[column])
        if weights[column] <= 0 or len(shown) == most:
            break
        if _says_something(word) and not any(_repeats(word, other) for other in shown):
            shown.append(word)
    return shown


def _says_something(word: str) -> bool:
    return 2 <= len(word) <= 24 and any(c.isalpha() for c in word)


def _repeats(word: str, other: str) -> bool:
    """Whether one word is part of the other, like 公司 of 上市公司, or sci of sci-fi."""
    if word > "\u2e7f" or other > "\u2e7f":
        return word in other or other in word
    return word in other.split("-") or other in word.split("-")


def label(
    words: Sequence[str], taken: Collection[str], number: int, pairs: Mapping[frozenset[str], str] | None = None
) -> str:
    """Join the first words into a label; add words, or the topic's number, if the label is taken.

    ``words`` are the :func:`label_words` of the topic, or its keywords. Two words of ``pairs`` that form a phrase are
    written as that phrase.

    >>> label(["space", "nasa", "mars", "moon"], {"space · nasa · mars"}, 7)
    'space · nasa · mars · moon'
    >>> label(["fu", "china", "kung", "martial"], set(), 7, {frozenset({"kung", "fu"}): "kung fu"})
    'kung fu · china · martial'
    >>> label([], set(), 7)
    'topic 7'
    """
    words = _with_phrases(words, pairs or {})
    for count in range(LABEL_WORDS, len(words) + 1):
        joined = _joined(words[:count])
        if joined not in taken:
            return joined
    joined = _joined(words[:LABEL_WORDS])
    return f"{joined} ({number})" if joined in taken else joined or f"topic {number}"


def _with_phrases(words: Sequence[str], pairs: Mapping[frozenset[str], str]) -> list[str]:
    """Return the words; a word and a later one with which it forms a phrase become that phrase."""
    rest, result = list(words), []
    while rest:
        word = rest.pop(0)
        partner = next((other for other in rest if frozenset({word, other}) in pairs), None)
        if partner is not None:
            rest.remove(partner)
            word = pairs[frozenset({word, partner})]
        result.append(word)
    return result


def _joined(words: Sequence[str]) -> str:
    fitting: list[str] = []
    for word in words:
        if len(" · ".join([*fitting, word])) <= MAX_LABEL_LENGTH:
            fitting.append(word)
    return " · ".join(fitting)


def fragments(texts: Iterable[Sequence[Term]]) -> set[str]:
    """Return stems that are nearly always part of a longer word of the same text, like 巴马 of 奥巴马: unfit as keywords.

    >>> sorted(fragments([[Term(w, w) for w in ("奥巴", "巴马", "奥巴马", "总统")]] * 3))
    ['奥巴', '巴马']
    >>> sorted(fragments([[Term("scifi", "sci-fi"), Term("sci", "sci"), Term("fi", "fi")]]))
    ['fi', 'sci']
    """
    seen: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    for text in texts:
        words = dict(text)
        han = [word for word in words.values() if len(word) > 2 and word > "\u2e7f"]
        parts = {part for word in words.values() if "-" in word for part in word.split("-")}
        for stem, word in words.items():
            seen[stem] += 1
            inside[stem] += word in parts or (word > "\u2e7f" and any(word != other and word in other for other in han))
    return {stem for stem, count in seen.items() if inside[stem] > 0.8 * count}
