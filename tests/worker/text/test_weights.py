"""Weights and readable words, by hand."""

from __future__ import annotations

import doctest
import math

import pytest
from hypothesis import given

from tests.worker.text.texts import ANY_TEXT
from workers.text import weights as module
from workers.text.weights import keywords, weights
from workers.text.words import Term, terms


def test_weights_by_hand() -> None:
    found = weights([Term("a", "a"), Term("b", "b"), Term("a", "a")])
    two = 1 + math.log(2)  # a occurs twice
    norm = math.sqrt(two**2 + 1)
    assert found == pytest.approx({"a": two / norm, "b": 1 / norm})
    assert weights([]) == {}


def test_keywords_by_hand() -> None:
    said = [
        *(Term("robot", "robotic"), Term("dune", "dune"), Term("robot", "robots"), Term("robot", "robots")),
        *(Term("spice", "spices"), Term("spice", "spice"), Term("dune", "dune"), Term("sand", "sand")),
    ]
    # robot 3; dune 2 before spice 2; sand 1. "robots" is its stem's most frequent word; of "spices" and "spice",
    # as frequent, the shorter.
    assert keywords(said) == ["robots", "dune", "spice", "sand"]
    assert keywords(said, 2) == ["robots", "dune"]
    assert keywords([Term("s", "ab"), Term("s", "cd")]) == ["ab"]
    # a piece of a shown compound is not shown, however frequent; nor a Han word inside a longer one
    assert keywords([Term("fi", "fi")] * 3 + [Term("scifi", "sci-fi"), Term("hi", "hi")], 1) == ["sci-fi"]
    assert keywords([Term(word, word) for word in ("测器", "探测器", "机器")]) == ["探测器", "机器"]
    assert keywords(said, 0) == keywords([]) == []


@given(ANY_TEXT)
def test_weights_have_unit_norm_and_keywords_are_words_of_the_text(text: str) -> None:
    found = terms(text)
    assert math.hypot(*weights(found).values()) == pytest.approx(1.0 if found else 0.0)
    shown = keywords(found)
    assert len(shown) == len(set(shown)) <= 24
    assert set(shown) <= {word for _, word in found}


def test_the_examples_in_the_docstrings_hold() -> None:
    ran = doctest.testmod(module)
    assert ran.attempted
    assert not ran.failed
