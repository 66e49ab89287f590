"""The words of full-text fields, as the index stores them and as a filter looks for them.

None of Qdrant's tokenizers finds words of every language (docs/decisions/full-text.md): so each text field has its words in the
bookkeeping, separated by spaces, and Qdrant only splits them. Words of scripts that put no spaces between words become single
characters, which a filter finds as a phrase; all others are whole words, without case, width and accents.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache

from llmrec_qdrant.space.points import BOOKKEEPING

__all__ = ["WORDS_PREFIX", "searched", "stored", "words_key"]

WORDS_PREFIX = f"{BOOKKEEPING}.words_"
"""How the payload keys with words begin."""

_GAP = "\n"

_BETWEEN = "."
"""Token between two texts or parts of a sentence, which no phrase crosses."""

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Tibetan, Burmese, Hangul (whose particles follow without a space), Khmer, kana and Han."""

_ACCENTED = re.compile("[\u00c0-\u024f\u0370-\u03ff\u1e00-\u1fff]")
"""Latin and Greek letters: elsewhere a mark makes another letter."""


class _Spaced(dict[int, str]):
    """Character → what stands for it: itself, itself between spaces, or a gap."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = spaced = f" {char} " if _is_alone(char) else char if _is_letter(char) else _GAP
        return spaced


def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] in "LNM"


@cache
def _is_alone(char: str) -> bool:
    return _is_letter(char) and _UNSPACED.match(char) is not None


_SPACED = _Spaced()


def words_key(path: str) -> str:
    """Return the payload key with the words of a text field.

    >>> words_key("plot"), words_key("cast[].bio")
    ('bookkeeping.words_plot', 'bookkeeping.words_cast-5b--5d--2e-bio')
    """
    escaped = re.sub(r"[^A-Za-z0-9_]", lambda match: f"-{ord(match[0]):x}-", path)
    return f"{WORDS_PREFIX}{escaped}"


def _segments(text: str) -> list[list[str]]:
    """Return the words of each part without a gap: one word of a script with spaces, or a run of characters."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    plain = _ACCENTED.sub(lambda match: unicodedata.normalize("NFD", match[0])[0], plain)
    parts = unicodedata.normalize("NFKC", plain).translate(_SPACED).split(_GAP)
    return [words for part in parts if (words := part.split())]


def stored(texts: Iterable[str]) -> str:
    """Return the words of a field's texts as the index stores them.

    >>> stored(["Café: 科幻电影 3D"])
    'cafe . 科 幻 电 影 . 3d'
    """
    words: list[str] = []
    for text in texts:
        for place, segment in enumerate(_segments(text)):
            if words and (place == 0 or _is_alone(words[-1][0]) or _is_alone(segment[0][0])):
                words.append(_BETWEEN)
            words += segment
    return " ".join(words)


def searched(text: str) -> Sequence[str]:
    """Return the words and phrases of a searched text, each of which must occur.

    >>> searched("科幻 films"), searched("…")
    (['科 幻', 'films'], [])
    """
    return list(dict.fromkeys(" ".join(segment) for segment in _segments(text)))
