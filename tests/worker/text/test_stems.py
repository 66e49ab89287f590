"""Stems are those of the Snowball project."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest
import regex

from workers.text import stems
from workers.text.words import terms

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("stemmer", ["english", "german", "french"])
def test_stems_are_those_of_snowball_in_python(stemmer: str) -> None:
    """PyStemmer, where it is installed, computes the same: stored vectors depend on it."""
    pure = getattr(importlib.import_module(f"snowballstemmer.{stemmer}_stemmer"), f"{stemmer.title()}Stemmer")()
    words = sorted(set(regex.findall(r"[a-z]{3,}", (ROOT / "LICENSE").read_text(encoding="utf-8").lower())))
    found = {term.word: term.stem for word in words for term in terms(word, stemmer)}
    assert len(found) > 300
    assert found == {word: pure.stemWord(word) for word in found}


def test_an_unknown_stemmer_names_those_accepted() -> None:
    with pytest.raises(ValueError, match=r"stemmer 'klingon' is not one of .*english, .*spanish"):
        terms("", "klingon")


def test_the_examples_in_the_docstrings_hold() -> None:
    ran = doctest.testmod(stems)
    assert ran.attempted
    assert not ran.failed
