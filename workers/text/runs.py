"""Cuts a cleaned text into runs of one script, and detects the language of most of it."""

from __future__ import annotations

from collections import Counter

import regex

from .clean import clean

__all__ = ["LATIN_LETTER", "RUN", "language"]


KANA_SHARE = 0.1
"""Share of kana among kana and Han above which a text is Japanese; a Chinese page with a brand like 鲜の每日 stays below."""


LATIN_LETTER = r"\p{Latin}"


_LATIN = r"[\p{Latin}\p{Nd}][\p{Latin}\p{Nd}\p{Mn}\p{Mc}]*"


_OTHER = r"[\p{L}--[\p{Latin}\p{Han}\p{Hiragana}\p{Katakana}\p{Common}]]"


_REST = rf"(?:{_OTHER}|[\p{{Nd}}\p{{Mn}}\p{{Mc}}\u0640]|(?<=\p{{Hebrew}})[\"״׳](?=\p{{Hebrew}}))*"  # with tatweel and gershayim


RUN = regex.compile(
    rf"""(?V1)
    (?P<address>(?:https?://|www\.)[^\s\p{{Han}}]+)
  | (?P<han>[\p{{Han}}&&[\p{{L}}\p{{N}}]]+)
  | (?P<initials>(?<![\p{{L}}\p{{Nd}}])(?:{LATIN_LETTER}\.)+{LATIN_LETTER}(?![\p{{L}}\p{{Nd}}]))
  | (?P<symbol>(?<![\p{{L}}\p{{Nd}}]){LATIN_LETTER}(?:\+\+|\#))
  | (?P<latin>{_LATIN}
        (?: (?: [-‐]                                  # RTX-4090, sci-fi
              | (?<=\d)[./⁄](?=\d)                    # 3.5mm, 1/2-inch
              | (?<=\d),(?=\d{{3}}(?!\d))             # 1,000
              | (?<=\p{{L}})['’ʼ&](?=\p{{L}})         # O'Brien, AT&T
            ) {_LATIN} )* )
  | (?P<kana>\p{{Katakana}}[\p{{Katakana}}ー]*|\p{{Hiragana}}[\p{{Hiragana}}ー]*)
  | (?P<other>{_OTHER}{_REST}(?:[-‐'’ʼ](?:{_OTHER}|\p{{Nd}}){_REST})*)
    """,
    regex.VERBOSE,
)


def language(text: str) -> str:
    """Return ``"zh"``, ``"en"`` or ``"other"``, by the script of most of the text.

    A Han character counts as much as a Latin word. Han next to kana is Japanese. The result is for reports and prompts;
    :func:`terms` does not depend on it.

    >>> language("iPhone 15手机壳"), language("Dune, part two"), language("東京の空"), language("")
    ('zh', 'en', 'other', 'other')
    """
    counts = _by_script(text)
    han, kana, latin = counts["han"], counts["kana"], counts["latin"]
    other = counts["other"] + kana
    if kana > KANA_SHARE * (han + kana):
        han, other = 0, other + han
    if han and han >= max(latin, other):
        return "zh"
    return "en" if latin and latin >= other else "other"


def _by_script(text: str) -> Counter[str]:
    """Count Han and kana by character, Latin and other scripts by word."""
    counts: Counter[str] = Counter()
    for run in RUN.finditer(clean(text)):
        match run.lastgroup:
            case "han" | "kana" as script:
                counts[script] += len(run[0])
            case "latin" | "initials" | "symbol":
                counts["latin"] += not run[0].isnumeric()
            case "other":
                counts["other"] += 1
    return counts
