"""Cleaning: every value here was written down by hand."""

from __future__ import annotations

import doctest
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.worker.text.texts import ANY_TEXT
from workers.text import clean as module
from workers.text.clean import MAX_CHARS, clean
from workers.text.words import terms


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("", ""),
        (" \t\r\n\u3000\u2028 ", ""),
        ("Ｉｎｔｅｒｓｔｅｌｌａｒ　２０１４", "Interstellar 2014"),  # full width
        ("ﬁlm №5 ｶﾒﾗ", "film No5 カメラ"),
        ("cafe\u0301", "café"),
        ("Tom &amp; Jerry&nbsp;&#8212; caf&eacute;", "Tom & Jerry — café"),
        ("&amp;lt;i&amp;gt;Dune&amp;lt;/i&amp;gt;", "Dune"),  # escaped twice, as feeds often are
        ("<p class='x'>One<br/>two</p>", "One two"),
        ("a<script>alert('x < y')</script>b<style>p{}</style>c<!-- note -->d", "a b c d"),
        ("kept <script>an unclosed script is not", "kept"),
        ("I <3 you, 2 < 3 > 1", "I <3 you, 2 < 3 > 1"),  # no tags
        ("in\u00advis\u200bible\ufeff\x00\x1b\u202e", "invisible"),
        ("lone \ud83d surrogate\ude00", "lone surrogate"),
        ("line\x0bone\x85two", "line one two"),
    ],
)
def test_clean(raw: str, expected: str) -> None:
    assert clean(raw) == expected


def test_clean_cuts_to_the_limit_and_leaves_no_space_behind() -> None:
    assert clean("one two three", 8) == "one two"
    assert clean("one", 0) == ""
    assert len(clean("x" * 3 * MAX_CHARS)) == MAX_CHARS
    with pytest.raises(ValueError, match="limit must not be negative: -1"):
        clean("one", -1)


def test_markup_does_not_eat_the_allowance() -> None:
    assert clean("<b>x</b>" * 10, 10) == "x x x x x"


def test_entities_nested_without_end_come_to_an_end() -> None:
    nested = "&" + "amp;" * 50 + "lt;b&gt;"
    assert "&" not in clean(nested)
    assert clean(clean(nested)) == clean(nested)


def test_piled_combining_marks_are_cut_down() -> None:
    assert len(clean("Z" + "\u0301\u0316" * 4_000 + "algo")) <= len("Z" + "algo") + 8


def test_a_huge_text_costs_no_memory() -> None:
    huge = "科幻 film &amp; <b>3.5mm</b> " * 800_000  # 20 million characters
    terms(huge[:100])  # what is loaded once is not the text's cost
    tracemalloc.start()
    try:
        found = terms(huge)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found) > 1_000
    assert peak < 2_000_000


@given(ANY_TEXT, st.integers(0, 60))
@example("&ampamp;lt;", 60)
@example("e\u200b\u0301", 60)
def test_clean_is_idempotent_and_bounded(text: str, limit: int) -> None:
    once = clean(text, limit)
    assert len(once) <= limit
    assert clean(once, limit) == once
    assert once == " ".join(once.split())
    once.encode()  # no lone surrogate is left


def test_the_examples_in_the_docstrings_hold() -> None:
    ran = doctest.testmod(module)
    assert ran.attempted
    assert not ran.failed
