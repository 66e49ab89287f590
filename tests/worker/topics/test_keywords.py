"""Keywords and labels against values worked out by hand."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from scipy import sparse

from workers.topics import keywords


def test_weights_of_words() -> None:
    """Topic 0: a a a b, topic 1: b b b a. With a prior of 5 words, p(a | 0) = (3 + 2.5) / 9 = 11/18; p(a) = 1/2."""
    counts = sparse.csr_matrix(np.array([[3.0, 1.0], [1.0, 3.0]]))
    labels = np.array([0, 1])
    expected = np.log(11 / 9)
    assert keywords.word_weights(counts, labels) == pytest.approx(np.array([[expected, 0], [0, expected]]))
    assert keywords.distinctive(counts, labels)[0, 0] == pytest.approx(11 / 18 * expected)


def test_keywords_are_readable_words_and_no_parts_of_each_other() -> None:
    stems = ["上市公司", "公司", "a", "2024", "scifi", "sci", "股票"]
    forms = {"scifi": "sci-fi", "sci": "sci"}
    weights = np.array([7.0, 6, 5, 4, 3, 2, 1])
    assert keywords.keywords(weights, stems, forms) == ["上市公司", "sci-fi", "股票"]
    assert keywords.keywords(-weights, stems, forms) == []


@pytest.mark.parametrize(
    ("words", "taken", "expected"),
    [
        (["a1", "b1", "c1", "d1"], set(), "a1 · b1 · c1"),
        (["a1", "b1", "c1", "d1"], {"a1 · b1 · c1"}, "a1 · b1 · c1 · d1"),
        (["a1", "b1"], {"a1 · b1"}, "a1 · b1 (9)"),
        (["x" * 24, "y" * 24, "z"], set(), f"{'x' * 24} · z"),
        ([], set(), "topic 9"),
    ],
)
def test_labels_are_short_and_unique(words: list[str], taken: set[str], expected: str) -> None:
    assert keywords.label(words, taken, 9) == expected


def test_the_examples_in_the_docstrings_hold() -> None:
    ran = doctest.testmod(keywords)
    assert ran.attempted
    assert not ran.failed
