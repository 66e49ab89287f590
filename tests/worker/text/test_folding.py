"""Spellings of one word, written down by hand, script by script."""

from __future__ import annotations

import doctest
import unicodedata

import pytest
from hypothesis import given

from tests.worker.text.texts import ANY_TEXT
from workers.text import folding
from workers.text.folding import fold, simplified
from workers.text.words import Term, terms

SAME = {
    "Latin": [
        "Pokémon pokemon POKÉMON",
        "Łódź lodz",
        "smørrebrød smorrebrod",
        "Đà đa da",
        "Æther aether",
        "œuvre oeuvre",
    ],
    "full width": ["ＳＯＮＹ sony", "１２３ 123", "ｺﾝﾋﾟｭｰﾀ コンピュータ"],
    "Cyrillic": ["Ёлка елка", "за́мок замок", "Ґудзик гудзик"],
    "Greek": ["Οδός οδος ΟΔΟΣ", "ταΐζω ταιζω"],
    "Arabic": ["كِتَابٌ كتاب كتـــاب", "أحمد احمد", "مكتبة مكتبه", "یک يك", "فتى فتي", "کتاب كتاب"],
    "Hebrew": ["שָׁלוֹם שלום", "צה״ל צהל", 'צה"ל צהל'],
    "Devanagari": ["फ़िल्म फिल्म", "हिन्दी हिंदी", "चाँद चांद"],
    "Han": ["電影 电影", "後來 后来", "頭髮 头发", "發展 发展", "乾燥 干燥"],
    "kana": ["コンピューター コンピュータ", "サーバー サーバ"],
    "digits": ["٢٠٢٤ 2024", "२०२४ 2024", "๒๐๒๔ 2024", "۱۹۸۴ 1984"],
}

OTHER = ["й и", "мой мои", "コピー コピ", "ハハ パパ", "कि की", "ไม ไม่", "乾 千"]


@pytest.mark.parametrize("spellings", [line for lines in SAME.values() for line in lines])
def test_spellings_of_a_word_meet(spellings: str) -> None:
    stems = [tuple(term.stem for term in terms(word)) for word in spellings.split()]
    assert stems[0] and len(set(stems)) == 1, stems


@pytest.mark.parametrize("words", OTHER)
def test_marks_that_make_another_word_stay(words: str) -> None:
    one, other = words.split()
    assert fold(one) != fold(other) and simplified(one) != simplified(other)


def test_what_people_read_is_as_it_was_written() -> None:
    assert terms("科幻電影") == [Term("科幻", "科幻"), Term("电影", "電影"), Term("科幻电影", "科幻電影")]
    assert terms("Ёлка ภาษาน้ำ")[0] == Term("елка", "ёлка")
    assert "ำ" in terms("น้ำ")[0].word  # NFKC takes it apart


def test_traditional_stop_words_are_stop_words() -> None:
    assert [term.word for term in terms("這個電影")] == ["電影"]


@given(ANY_TEXT)
def test_folding_twice_changes_nothing(text: str) -> None:
    once = fold(unicodedata.normalize("NFKC", text.lower()))
    assert fold(once) == once or fold(fold(once)) == fold(once)


@given(ANY_TEXT)
def test_simplified_characters_stand_where_the_traditional_ones_did(text: str) -> None:
    assert len(simplified(text)) == len(text)


def test_the_examples_in_the_docstrings_hold() -> None:
    ran = doctest.testmod(folding)
    assert ran.attempted
    assert not ran.failed
