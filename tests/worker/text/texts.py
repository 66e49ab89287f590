"""Texts that property tests draw from."""

from __future__ import annotations

from hypothesis import strategies as st

WORDS = ["科幻电影", "の", "テスト", "영화", "война", "don't", "RTX-4090", "3.5mm", "C++", "U.S.A.", "ﬁ", "½", "İ"]
FRAGMENTS = [
    *WORDS,
    *("&amp;", "&lt;", "amp;", "&#38;", "&#xFF1C;", "<b>", "<script>", "</script>", "<!--", "-->", "<", ">", "＆"),
    *("\u0301", "\u0316", "\u200b", "\u00ad", "\ufe0f", "\ud83d", "\ude00", "\x00", "\u2028", " ", "\n", "¨", "'", "-"),
    *("👍🏽", "ไทย", "हिन्दी", "ß", "Σ", "·", "&", "/", ".", ",", "1", "a"),
]
ANY_TEXT = st.text(st.characters()) | st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join)
