"""Text → terms: the one tokenizer behind sparse vectors, explanations and topic keywords.

A text is cleaned and cut into runs of one script, and every run becomes terms by the rules of its script alone.
A query of two words and a page of two thousand therefore agree on every stem: nothing is guessed about the whole.

====================  =====================================================  ============================
run                   becomes                                                example
====================  =====================================================  ============================
Han                   jieba words, and dictionary words inside a long one    科幻电影 → 科幻 电影 科幻电影
Latin, digits         lower-cased words, Snowball stems                      Movies → movi
one with a digit      itself, unstemmed, and its parts                       RTX-4090 → rtx4090 rtx 4090
any other script      Unicode words, case-folded                             Война → война
====================  =====================================================  ============================

The reasons and measurements are in ``docs/decisions/text-preparation.md``.
"""

from __future__ import annotations

import importlib
import math
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import islice
from typing import Any, NamedTuple

import regex
from stopwordsiso import stopwords

from llmrec_qdrant.space.ids import sparse_index

from .clean import clean

__all__ = ["Term", "keywords", "language", "terms", "weights"]


_MAX_WORD = 64  # characters; anything longer is a hash, an encoded image or a script without spaces


_KANA_SHARE = 0.1  # a 鲜の每日 in a Chinese page does not make it Japanese


_CACHED_WORDS = 1 << 15


_lock = threading.Lock()  # a Snowball stemmer keeps its word in itself


class Term(NamedTuple):
    """One occurrence: ``stem`` is what is matched, ``word`` is the lower-cased form a person reads."""

    stem: str
    word: str


_L = r"\p{Latin}"


_LATIN = r"[\p{Latin}\p{Nd}][\p{Latin}\p{Nd}\p{Mn}\p{Mc}]*"


_OTHER = r"[\p{L}--[\p{Latin}\p{Han}\p{Hiragana}\p{Katakana}\p{Common}]]"


_REST = rf"(?:{_OTHER}|[\p{{Nd}}\p{{Mn}}\p{{Mc}}])*"


_RUN = regex.compile(
    rf"""(?V1)
    (?P<address>(?:https?://|www\.)[^\s\p{{Han}}]+)
  | (?P<han>[\p{{Han}}&&[\p{{L}}\p{{N}}]]+)
  | (?P<initials>(?<![\p{{L}}\p{{Nd}}])(?:{_L}\.)+{_L}(?![\p{{L}}\p{{Nd}}]))
  | (?P<symbol>(?<![\p{{L}}\p{{Nd}}]){_L}(?:\+\+|\#))
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
    for run in _RUN.finditer(clean(text)):
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
    if kana > _KANA_SHARE * (han + kana):
        han, other = 0, other + han
    if han and han >= max(latin, other):
        return "zh"
    return "en" if latin and latin >= other else "other"


_JOINTS = regex.compile(r"(?<!\d)[-']|[-'](?!\d)|(?<=\d),")  # left out of a stem; but 9-11 is not 911


_PARTS = regex.compile(r"[-'&/]")


_CONTRACTION = regex.compile(r"'(?:d|ll|m|re|s|ve)$")


_MODEL = regex.compile(r"(\p{L}{2,})(\d{2,})|(\p{L}{3,})(\d)")  # rtx4090, iphone6; not mp3


_QUANTITY = regex.compile(r"(\d+(?:\.\d+)?)(?!(?:st|nd|rd|th)$)(\p{L}{2,})")  # 16gb, 3.5mm; not 4k, 21st


def terms(text: str, stemmer: str = "english") -> list[Term]:
    """Return the terms of a raw text in its order, with repeats; the text is cleaned first.

    ``stemmer`` is a Snowball algorithm (``"english"``, ``"german"``…) and brings its language's stop words. It
    only changes words of its own alphabet, so Chinese or Russian inside an English space is safe.

    Raises ValueError when ``stemmer`` is not a Snowball algorithm.

    >>> [term.stem for term in terms("The new RTX-4090 显卡")]
    ['new', 'rtx4090', 'rtx', '4090', '显卡']
    >>> terms("Wolfe's movies")
    [Term(stem='wolf', word='wolfe'), Term(stem='movi', word='movies')]
    """
    _load_stemmer(stemmer)
    found: list[Term] = []
    for run in _RUN.finditer(clean(text).lower()):
        kind, surface = run.lastgroup, run[0]
        if kind == "address":
            continue
        if kind == "han":
            found.extend(_han(surface))
        elif kind == "symbol":
            found.append(Term(surface, surface))
        elif len(surface) <= _MAX_WORD:
            found.extend(_word(surface, stemmer))
        else:  # never cached: a few thousand of them would fill the memory
            found.extend(_word.__wrapped__(surface, stemmer))
    return found


def weights(terms: Iterable[Term]) -> dict[str, float]:
    """Return stem → sublinear term frequency ``1 + ln(tf)``, scaled to unit Euclidean length; ``{}`` for none.

    >>> weights([Term("dune", "dune")])
    {'dune': 1.0}
    """
    raw = {stem: 1.0 + math.log(count) for stem, count in Counter(term.stem for term in terms).items()}
    norm = math.hypot(*raw.values())
    return {stem: value / norm for stem, value in raw.items()}


def indexed(terms: Iterable[Term]) -> dict[int, float]:
    """Return number of a stem in sparse vectors → its weight; what two stems of one number weigh is added up.

    >>> list(indexed([Term("dune", "dune")]).values())
    [1.0]
    """
    summed: dict[int, float] = {}
    for stem, weight in weights(terms).items():
        index = sparse_index(stem)
        summed[index] = summed.get(index, 0.0) + weight
    return summed


def keywords(terms: Iterable[Term], limit: int = 24) -> list[str]:
    """Return up to ``limit`` distinct readable words: the most frequent stem first, ties by first appearance.

    A stem is shown by its most frequent word; of equally frequent ones by the shortest, then by the first.

    >>> keywords(terms("Stories of robots. A robot's story, a robot!"))
    ['robot', 'story']
    """
    totals: Counter[str] = Counter()
    best: dict[str, tuple[int, int, str]] = {}  # stem → (−count, length, word), in order of appearance
    for (stem, word), count in Counter(terms).items():
        totals[stem] += count
        candidate = (-count, len(word), word)
        if stem not in best or candidate[:2] < best[stem][:2]:
            best[stem] = candidate
    shown = dict.fromkeys(best[stem][2] for stem in sorted(best, key=lambda stem: -totals[stem]))
    pieces = {piece for word in shown if "-" in word for piece in _PARTS.split(word)}
    whole = (word for word in shown if word not in pieces and not _is_fragment(word, shown))
    return list(islice(whole, max(limit, 0)))


def _is_fragment(word: str, shown: Iterable[str]) -> bool:
    """Tell whether a Han word only stands inside another one: 测器 in 探测器. Such are for matching."""
    return len(word) == 2 and word > "\u2e7f" and any(len(other) == 3 and word in other for other in shown)


def _han(run: str) -> Iterator[Term]:

    from rjieba import cut_for_search  # a dictionary of several megabytes, loaded when there is Chinese

    stop = _script_stop_words()
    for word in cut_for_search(run):
        if word not in stop:
            yield Term(word, word)


@lru_cache(maxsize=_CACHED_WORDS)
def _word(surface: str, stemmer: str) -> tuple[Term, ...]:
    """Return the terms of one lower-cased word or compound: the whole joined up, then its parts."""
    if surface.isascii() and surface.isalpha():  # most words: nothing to take apart
        plain = _term(surface, stemmer)
        return () if plain is None else (plain,)
    surface = surface.replace("‐", "-").replace("’", "'").replace("ʼ", "'").replace("⁄", "/")
    if surface.endswith("n't"):  # don't, isn't, ain't: all of them function words
        return ()
    surface = _CONTRACTION.sub("", surface)
    if "." in surface and (initials := surface.replace(".", "")).isalpha():
        surface = initials  # U.S.A, J.R.R
    found = (_term(word, stemmer) for word in dict.fromkeys((surface, *_parts(surface))))
    return tuple(term for term in found if term is not None)


def _parts(surface: str) -> Iterator[str]:
    """Yield what a compound may also be written as: its pieces, and a piece's letters and digits."""
    for piece in _PARTS.split(surface):
        yield from (piece, *_letters_and_digits(piece)) if len(piece) > 1 else ()


def _letters_and_digits(piece: str) -> Iterator[str]:
    split = _MODEL.fullmatch(piece) or _QUANTITY.fullmatch(piece)
    return (part for part in split.groups() if part and len(part) > 1) if split else iter(())


def _term(word: str, stemmer: str) -> Term | None:
    if len(word) > _MAX_WORD or word in _stop_words(stemmer) or word in _script_stop_words():
        return None
    stem = word if word.isalpha() else _JOINTS.sub("", word)
    if word.isalpha() or not any(character.isdecimal() for character in word):
        algorithm = _load_stemmer(stemmer)
        with _lock:
            stem = algorithm.stemWord(stem) or stem
    return Term(_plain(stem), word)


def _plain(stem: str) -> str:
    """Return the stem case-folded, a Latin one without accents: people type ``pokemon`` for Pokémon."""
    stem = stem.casefold()
    if stem.isascii() or not regex.match(_L, stem):
        return stem
    bare = "".join(c for c in unicodedata.normalize("NFD", stem) if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", bare)


@cache
def _load_stemmer(name: str) -> Any:
    snowball = importlib.import_module("snowballstemmer")
    accepted = sorted(snowball.algorithms())
    if name not in accepted:
        raise ValueError(f"stemmer {name!r} is not one of {', '.join(accepted)}")
    return snowball.stemmer(name)


@cache
def _stop_words(stemmer: str) -> frozenset[str]:
    """Return the Snowball project's own list for the stemmer's language, empty where it has none."""
    name = {"porter": "english", "dutch_porter": "dutch"}.get(stemmer, stemmer)
    code = importlib.import_module("whoosh.lang").two_letter_code(name)
    return frozenset(importlib.import_module("whoosh.lang.stopwords").stoplists.get(code, ()))


@cache
def _script_stop_words() -> frozenset[str]:
    """Return the stop words that hold whatever the stemmer: of Han, kana and Cyrillic."""
    listed = stopwords(["zh", "ja"]) | _stop_words("russian")
    return frozenset(word for word in listed if not word.isascii())
