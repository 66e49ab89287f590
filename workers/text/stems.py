"""Stems words by the Snowball algorithms (Porter 2001)."""

from __future__ import annotations

import importlib
import threading
import unicodedata
from functools import cache
from typing import Any

import regex

from .runs import LATIN_LETTER

__all__ = ["check_stemmer", "stem"]


_lock = threading.Lock()  # a Snowball stemmer stores the current word in itself


def stem(word: str, stemmer: str) -> str:
    """Return the case-folded stem of a lower-cased word; Latin stems lose their accents, as people type ``pokemon``.

    Raises ValueError when ``stemmer`` is not a Snowball algorithm.

    >>> stem("movies", "english"), stem("pokémon", "english")
    ('movi', 'pokemon')
    """
    algorithm = _loaded(stemmer)
    with _lock:
        stemmed = algorithm.stemWord(word) or word
    return without_accents(stemmed)


def without_accents(stem: str) -> str:
    """Case-fold a stem, and remove accents from Latin letters only.

    >>> without_accents("amélie"), without_accents("й")
    ('amelie', 'й')
    """
    stem = stem.casefold()
    if stem.isascii() or not regex.match(LATIN_LETTER, stem):
        return stem
    bare = "".join(c for c in unicodedata.normalize("NFD", stem) if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", bare)


def check_stemmer(name: str) -> None:
    """Raise ValueError when ``name`` is not a Snowball algorithm."""
    _loaded(name)


@cache
def _loaded(name: str) -> Any:
    snowball = importlib.import_module("snowballstemmer")
    accepted = sorted(snowball.algorithms())
    if name not in accepted:
        raise ValueError(f"stemmer {name!r} is not one of {', '.join(accepted)}")
    return snowball.stemmer(name)
