"""Cleans raw text into plain text on one line, at a cost that does not grow with its length."""

from __future__ import annotations

import html
import unicodedata

import regex

__all__ = ["MAX_CHARS", "clean"]


MAX_CHARS = 8_000
"""Characters kept of a text before anything is tokenized: about 1,300 English or 5,000 Chinese words."""


_MARKUP_ROOM = 4  # raw characters read per character kept, so that markup does not use up the limit


_CLEAN_ROUNDS = 4  # "&amp;lt;" needs two; deeper nesting is an attack


# An unclosed comment or script runs to the end, as in a browser; it also keeps the search linear.
_TAG = regex.compile(
    r"<!--.*?(?:-->|\Z) | <(script|style)\b[^<>]*>.*?(?:</\1\s*>|\Z) | </?[a-z][^<>]*> | <[!?][^<>]*>",
    regex.DOTALL | regex.IGNORECASE | regex.VERBOSE,
)


_INVISIBLE = regex.compile(r"[\p{C}\p{Default_Ignorable_Code_Point}]")  # controls, zero width, surrogates


_PILED_MARKS = regex.compile(r"(\p{M}{8})\p{M}+")  # normalising n marks on one letter takes n² steps


def clean(text: str, limit: int = MAX_CHARS) -> str:
    """Return at most ``limit`` characters of plain, NFKC-normalised text on one line.

    HTML entities are resolved, tags, comments and scripts dropped, invisible characters removed. The text is
    cut *before* any of that, so a text of any size costs the same. Cleaning twice changes nothing.

    Raises ValueError when ``limit`` is negative.

    >>> clean("<b>Ｗａｌｌ&#8209;E</b>\\n &amp; friends")
    'Wall‐E & friends'
    """
    if limit < 0:
        raise ValueError(f"limit must not be negative: {limit!r}")
    room = limit * _MARKUP_ROOM
    text = text[:room]
    for _ in range(_CLEAN_ROUNDS):
        before, text = text, _clean_once(text)[:room]
        if text == before:
            break
    else:
        text = _clean_once(text.replace("&", " ").replace("<", " "))
    return text[:limit].rstrip()


def _clean_once(text: str) -> str:
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    text = " ".join(text.split())
    if not text.isascii() or not text.isprintable():
        text = _PILED_MARKS.sub(r"\1", _INVISIBLE.sub("", text))
        text = " ".join(unicodedata.normalize("NFKC", text).split())
    return text
