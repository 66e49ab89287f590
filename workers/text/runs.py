"""A cleaned text as runs of one script, and the language that most of it is written in."""

from __future__ import annotations

import regex

from .clean import clean

__all__ = ["LATIN_LETTER", "RUN", "language"]


KANA_SHARE = 0.1
"""Share of kana beside Han from which a text is Japanese; a 鲜の每日 in a Chinese page is below it."""


LATIN_LETTER = r"\p{Latin}"


_LATIN = r"[\p{Latin}\p{Nd}][\p{Latin}\p{Nd}\p{Mn}\p{Mc}]*"


_OTHER = r"[\p{L}--[\p{Latin}\p{Han}\p{Hiragana}\p{Katakana}\p{Common}]]"


_REST = rf"(?:{_OTHER}|[\p{{Nd}}\p{{Mn}}\p{{Mc}}])*"


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
    """Return ``"zh"``, ``"en"`` or ``"other"``: whichever script carries most of the text.

    A Han character counts as much as a Latin word, roughly what each of them says. Han beside kana is Japanese.
    The answer is for reports and prompts; :func:`terms` never asks it.

    >>> language("iPhone 15手机壳"), language("Dune, part two"), language("東京の空"), language("")
    ('zh', 'en', 'other', 'other')
    """
    han = kana = latin = other = 0
    for run in RUN.finditer(clean(text)):
        match run.lastgroup:
            case "han":
                han += len(run[0])
            case "kana":
                kana += len(run[0])
            case "latin" | "initials" | "symbol":
                latin += not run[0].isnumeric()
            case "other":
                other += 1
    other += kana
    if kana > KANA_SHARE * (han + kana):
        han, other = 0, other + han
    if han and han >= max(latin, other):
        return "zh"
    return "en" if latin and latin >= other else "other"
