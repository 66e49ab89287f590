"""Folds the spellings of a word into one, by script: people type most words without their marks.

==================  ==========================================================================================
script              becomes one
==================  ==========================================================================================
Latin, Greek        letters with and without accents; ł and l, ø and o, đ and d, ı and i, æ and ae, œ and oe
Cyrillic            ё and е, ґ and г; stress marks fall off
Arabic              with and without vowel marks and tatweel; the forms of alef, yeh, kaf, heh; hamza on a carrier
Hebrew              with and without points and gershayim (צה״ל)
Devanagari          with and without nukta; chandrabindu, and a dead n before a consonant, become anusvara
Han                 traditional and simplified characters, by OpenCC
kana                long words with and without a final ー (コンピューター); width is folded by :mod:`.clean`
digits              of all scripts
==================  ==========================================================================================

Marks that make another word stay: й, vowel signs and tones of Indic and Thai script, voicing marks of kana.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import cache

import regex

__all__ = ["fold", "script_of", "simplified", "without_marks"]

MIN_KATAKANA = 4
"""Characters of a katakana word from which a final ー is left out, as in Lucene: コピー keeps it."""

LETTERS: Mapping[str, str] = {
    "ł": "l", "ø": "o", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe",
    "ё": "е", "ѐ": "е", "ѝ": "и", "ґ": "г",
    "أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ی": "ي", "ے": "ي", "ئ": "ي", "ؤ": "و", "ک": "ك",
    "ة": "ه", "ۀ": "ه", "ە": "ه", "ہ": "ه", "ۂ": "ه", "ۃ": "ه",
    "ँ": "ं",
}  # fmt: skip
"""Letters that Unicode does not decompose, or that are one letter to those who type."""

_LETTERS = str.maketrans({**LETTERS, "़": ""})

_DEAD_N = regex.compile(r"न्(?=[क-ह])")

_MARKS = regex.compile(
    r"""[\u0610-\u061A\u0640\u064B-\u065F\u0670\u06D6-\u06DC\u06DF-\u06E8\u06EA-\u06ED\u08D3-\u08FF]  # Arabic
      | [\u0591-\u05BD\u05BF\u05C1\u05C2\u05C4\u05C5\u05C7]                                          # Hebrew
      | (?<=\p{Hebrew})["'״׳’](?=\p{Hebrew})
      | (?<=\p{Cyrillic})[\u0300\u0301]""",
    regex.VERBOSE,
)

_COMPOSED = (("\u0e4d\u0e32", "\u0e33"), ("\u0ecd\u0eb2", "\u0eb3"))
"""Thai and Lao am, which NFKC takes apart, though dictionaries and people have it as one character."""

_ALSO_SIMPLIFIED = re.compile("[乾吒夥後徵拚捱摺於榘菸薹袷醣麴麽]").search
"""Traditional characters that GB 2312 contains; all others of its characters are simplified."""

_SCRIPT = regex.compile(
    "|".join(
        rf"(?P<{name}>\p{{{name}}})"
        for name in (
            "Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Hangul", "Thai", "Lao", "Khmer", "Myanmar", "Tamil",
            "Armenian", "Hiragana", "Katakana", "Han",
        )
    )
)  # fmt: skip


def script_of(word: str) -> str:
    """Return the Unicode name of the script of the first character, among those that have rules; else ``""``.

    >>> script_of("фильм"), script_of("བོད")
    ('Cyrillic', '')
    """
    found = _SCRIPT.match(word)
    return found.lastgroup or "" if found else ""


def without_marks(run: str) -> str:
    """Remove from a run what its words are written with or without; people read the result.

    >>> without_marks("كِتَابٌ"), without_marks("שָׁלוֹם"), without_marks("зáмок")
    ('كتاب', 'שלום', 'зáмок')
    """
    run = _MARKS.sub("", run)
    for apart, together in _COMPOSED:
        run = run.replace(apart, together)
    return run


def fold(stem: str) -> str:
    """Return the form of a lower-cased stem that all its spellings share.

    >>> fold("amélie"), fold("ёлка"), fold("й"), fold("łódź"), fold("٢٠٢٤")
    ('amelie', 'елка', 'й', 'lodz', '2024')
    """
    if stem.isascii():
        return stem
    stem = stem.casefold()
    rule = _RULES.get(script_of(stem))
    folded = (rule(stem) if rule else stem).translate(_LETTERS)
    return "".join(map(_digit, folded)) if any(letter.isdecimal() for letter in folded) else folded


def _digit(letter: str) -> str:
    return str(unicodedata.decimal(letter)) if letter.isdecimal() else letter


def _bare(stem: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFD", stem) if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", bare)


def _devanagari(stem: str) -> str:
    return _DEAD_N.sub("ं", unicodedata.normalize("NFD", stem))


def _katakana(stem: str) -> str:
    return stem[:-1] if stem.endswith("ー") and len(stem) >= MIN_KATAKANA else stem


_RULES: Mapping[str, Callable[[str], str]] = {
    "Latin": _bare,
    "Greek": _bare,
    "Devanagari": _devanagari,
    "Katakana": _katakana,
}


def simplified(run: str) -> str:
    """Return a run of Han characters in simplified ones, each by itself, so that places stay what they are.

    >>> simplified("電影"), simplified("电影")
    ('电影', '电影')
    """
    try:
        run.encode("gb2312")  # a thirtieth of the time of looking each character up
    except UnicodeEncodeError:
        return run.translate(_traditional())
    return run.translate(_traditional()) if _ALSO_SIMPLIFIED(run) else run


@cache
def _traditional() -> Mapping[int, str]:
    """Return traditional character → simplified one, as OpenCC converts it on its own."""
    from opencc import OpenCC  # loads its dictionary: only where it is needed

    blocks = (range(0x3400, 0x4DC0), range(0x4E00, 0xA000), range(0x20000, 0x32000))
    every = [chr(code) for block in blocks for code in block]
    converted = OpenCC("t2s").convert("\n".join(every)).split("\n")
    pairs = zip(every, converted, strict=True)
    return {ord(before): after for before, after in pairs if before != after and len(after) == 1}
