"""Decodes what web pages leave in titles and texts: entities such as ``&amp;``, and tags such as ``<br>``."""

from __future__ import annotations

import html
import re

__all__ = ["without_html"]

_TAG = re.compile(
    r"</?(?P<name>a|abbr|article|b|big|blockquote|body|br|center|code|dd|div|dl|dt|em|figure|font|footer|h[1-6]|head|header|hr|html|i|"
    r"iframe|img|ins|li|main|mark|meta|nav|object|ol|p|param|pre|q|s|section|small|span|strike|strong|sub|sup|table|tbody|td|th|"
    r"thead|tr|tt|u|ul|video|wbr)(?:\s[^<>]*)?/?>|<!--.*?-->",
    re.IGNORECASE | re.DOTALL,
)
"""A tag of HTML; other angle brackets, as in ``a < b`` or ``List<int>``, are text."""

_HIDDEN = re.compile(r"<(script|style)\b[^>]*>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)

_INLINE = frozenset({"a", "abbr", "b", "big", "em", "font", "i", "ins", "mark", "s", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "wbr"})  # fmt: skip
"""Tags within a word or sentence; any other ends a line."""

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
"""A complete entity; ``&copy=2`` in an address is text."""


def without_html(text: str) -> str:
    r"""Return a text without tags and with its entities decoded; entities that were encoded twice, too.

    >>> without_html("Tom &amp;amp; Jerry<br>Volume&nbsp;2"), without_html("if a < b && b > c")
    ('Tom & Jerry\nVolume 2', 'if a < b && b > c')
    """
    if "&" not in text and "<" not in text:
        return text
    clean = _stripped(text)
    for _ in range(2):
        clean = _ENTITY.sub(lambda match: html.unescape(match[0]), clean)
    if "<" in clean:
        clean = _stripped(clean)
    return text if clean == text else re.sub(r"[ \t\xa0]+", " ", re.sub(r" ?\n[\s]*", "\n", clean)).strip()


def _stripped(text: str) -> str:
    if "<" not in text:
        return text
    return _TAG.sub(lambda tag: "" if (tag["name"] or "b").lower() in _INLINE else "\n", _HIDDEN.sub(" ", text))
