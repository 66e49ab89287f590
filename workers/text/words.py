"""Turns text into terms: the one tokenizer behind sparse vectors, explanations and topic keywords.

A text is cleaned and cut into runs of one script; each run becomes terms by the rules of its script alone. A query of two
words and a page of two thousand therefore agree on every stem: nothing depends on the text as a whole.

====================  =====================================================  ============================
run                   becomes                                                example
====================  =====================================================  ============================
Han                   jieba words, and dictionary words inside a long one,   科幻電影 → 科幻 电影 科幻电影
                      in simplified characters
Latin, digits         lower-cased words, Snowball stems                      Movies → movi
one with a digit      itself, unstemmed, and its parts                       RTX-4090 → rtx4090 rtx 4090
any other script      Unicode words, case-folded                             Война → война
====================  =====================================================  ============================

The reasons and measurements are in ``docs/decisions/text-preparation.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib import import_module
from typing import Any, NamedTuple

import regex

from .clean import clean
from .folding import fold, simplified, without_marks
from .runs import RUN
from .stems import check_stemmer, stem
from .stop_words import script_stop_words, stop_words

__all__ = ["SEPARATORS", "WORDS_REVISION", "Term", "terms"]


WORDS_REVISION = 1
"""Changes with the rules by which a text becomes stems; texts with other stems by earlier rules are encoded again."""


MAX_WORD = 64
"""Characters of a word; a longer run is a hash, an encoded image or a script without spaces."""


MAX_CACHED_WORDS = 1 << 15
"""Words whose terms are cached."""


class Term(NamedTuple):
    """One occurrence of a word: its ``stem``, which is matched, and the lower-cased ``word``, which a person reads."""

    stem: str
    word: str


_JOINTS = regex.compile(r"(?<!\d)[-']|[-'](?!\d)|(?<=\d),")  # left out of a stem; but 9-11 is not 911


SEPARATORS = regex.compile(r"[-'&/]")


_CONTRACTION = regex.compile(r"'(?:d|ll|m|re|s|ve)$")


_MODEL = regex.compile(r"(\p{L}{2,})(\d{2,})|(\p{L}{3,})(\d)")  # rtx4090, iphone6; not mp3


_QUANTITY = regex.compile(r"(\d+(?:\.\d+)?)(?!(?:st|nd|rd|th)$)(\p{L}{2,})")  # 16gb, 3.5mm; not 4k, 21st


def terms(text: str, stemmer: str = "english") -> list[Term]:
    """Clean a raw text and return its terms in order, with repeats.

    ``stemmer`` is a Snowball algorithm (``"english"``, ``"german"``, …); it also selects the stop words. It only changes
    words of its own alphabet, so Chinese or Russian text in an English space is safe.

    Raises ValueError when ``stemmer`` is not a Snowball algorithm.

    >>> [term.stem for term in terms("The new RTX-4090 显卡")]
    ['new', 'rtx4090', 'rtx', '4090', '显卡']
    >>> terms("Wolfe's movies")
    [Term(stem='wolf', word='wolfe'), Term(stem='movi', word='movies')]
    """
    check_stemmer(stemmer)
    return [term for run in RUN.finditer(clean(text).lower()) for term in _of_run(run.lastgroup, run[0], stemmer)]


def _of_run(kind: str | None, surface: str, stemmer: str) -> Iterable[Term]:
    """Return the terms of a run; ``kind`` is the name of its group in ``RUN``."""
    if kind == "address":
        return ()
    if kind == "han":
        return _han(surface)
    if kind == "symbol":
        return (Term(surface, surface),)
    if kind == "other":
        surface = without_marks(surface)
    if len(surface) <= MAX_WORD:
        return _word(surface, stemmer)
    return _word.__wrapped__(surface, stemmer)  # not cached: a few thousand of these would fill the memory


def _han(run: str) -> list[Term]:
    """Return the words of a run of Han characters: matched in simplified ones, shown as they are written."""
    jieba, stop = _jieba(), script_stop_words()
    plain = simplified(run)
    if plain is run:
        return [Term(word, word) for word in jieba.cut_for_search(run) if word not in stop]
    return [Term(word, run[start:end]) for word, start, end in jieba.tokenize(plain, "search") if word not in stop]


@cache
def _jieba() -> Any:
    return import_module("rjieba")  # loads a dictionary of several megabytes: only for Chinese


@lru_cache(maxsize=MAX_CACHED_WORDS)
def _word(surface: str, stemmer: str) -> tuple[Term, ...]:
    """Return the terms of one lower-cased word or compound: first the whole, joined up, then its parts."""
    if surface.isascii() and surface.isalpha():  # most words have no parts
        plain = _term(surface, stemmer)
        return () if plain is None else (plain,)
    surface = surface.replace("‐", "-").replace("’", "'").replace("ʼ", "'").replace("⁄", "/")
    if surface.endswith("n't"):  # don't, isn't, ain't: all of them function words
        return ()
    surface = _CONTRACTION.sub("", surface)
    if "." in surface and (initials := surface.replace(".", "")).isalpha():
        surface = initials  # U.S.A, J.R.R
    terms = (_term(word, stemmer) for word in dict.fromkeys((surface, *_parts(surface))))
    return tuple(term for term in terms if term is not None)


def _parts(surface: str) -> Iterator[str]:
    """Yield the pieces of a compound, and the letters and digits of each piece."""
    for piece in SEPARATORS.split(surface):
        yield from (piece, *_letters_and_digits(piece)) if len(piece) > 1 else ()


def _letters_and_digits(piece: str) -> Iterator[str]:
    split = _MODEL.fullmatch(piece) or _QUANTITY.fullmatch(piece)
    return (part for part in split.groups() if part and len(part) > 1) if split else iter(())


def _term(word: str, stemmer: str) -> Term | None:
    if len(word) > MAX_WORD or word in stop_words(stemmer) or word in script_stop_words():
        return None
    bare = word if word.isalpha() else _JOINTS.sub("", word)
    stemmed = word.isalpha() or not any(character.isdecimal() for character in word)
    return Term(stem(bare, stemmer) if stemmed else fold(bare), word)
