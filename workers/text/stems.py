"""Stems words by the Snowball algorithms (Porter 2001)."""

from __future__ import annotations

import importlib
import threading
from functools import cache
from typing import Any

from .folding import fold

__all__ = ["check_stemmer", "stem"]


_lock = threading.Lock()  # a Snowball stemmer stores the current word in itself


def stem(word: str, stemmer: str) -> str:
    """Return the stem of a lower-cased word as all its spellings have it: without accents, as people type ``pokemon``.

    Raises ValueError when ``stemmer`` is not a Snowball algorithm.

    >>> stem("movies", "english"), stem("pokémon", "english")
    ('movi', 'pokemon')
    """
    algorithm = _loaded(stemmer)
    with _lock:
        stemmed = algorithm.stemWord(word) or word
    return fold(stemmed)


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
