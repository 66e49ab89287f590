"""Finds passages that many items share whatever they are about (shipping, disclaimers, templates), and leaves them out.

A passage is a whole sentence, or a run of several tokens, as templates leave them between their slots. It is boilerplate if
many items share it and the rest of these items is no more alike than that of any items: a category path, which only items of
one kind share, stays.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import regex

__all__ = ["MAX_PASSAGES", "Boilerplate", "detect"]

RUN_WORDS, RUN_CHARACTERS = 6, 10
"""Consecutive words, or characters of a script without spaces, that count as a passage though they are no whole sentence."""
SENTENCE_WORDS, SENTENCE_CHARACTERS = 3, 4
"""Length of the shortest sentence that can be boilerplate."""
MIN_ITEMS = 8
MIN_SHARE = 0.01
"""A sentence in fewer items, or in a smaller share of them, is not boilerplate; for other passages, three times as many."""
ALWAYS_SHARE = 0.4
"""A passage in this share of all items is boilerplate whatever these items are."""
MAX_LIKENESS = 2.0
"""Greatest similarity among the items that share a passage, as a multiple of the similarity among all items."""
OWN_SHARE = 0.5
"""Share, of the texts with one of its words, that a passage must hold."""
REST_TOKENS = 5
"""Tokens that the other half of the items must keep, so that short texts are never taken apart."""
MAX_PASSAGES = 100
MAX_PASSAGE_LENGTH = 500
"""Passages that are kept, most frequent first, and the characters of one."""
SKETCH = 256
"""Dimensions of the sketch of an item's words by which likeness is measured."""

_TOKEN = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]|[\p{L}\p{M}\p{N}]+(?:['’]\p{L}+)*"
)
_SENTENCE_END = regex.compile(r"[.!?。！？…;；|•·]")
_CHARACTER = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_NUMBER_TOKEN = "0"
_NUMBER = regex.compile(r"\p{Nd}+")

Tokens = tuple[str, ...]


@dataclass(frozen=True)
class _Text:
    """A text cut into tokens and sentences."""

    text: str
    tokens: Tokens
    spans: Sequence[tuple[int, int]]
    """Start and end of each token in the text."""
    sentences: Sequence[tuple[int, int]]
    """First token and the one after the last token of each sentence."""

    @classmethod
    def of(cls, text: str) -> _Text:
        matches = list(_TOKEN.finditer(text))
        spans = [match.span() for match in matches]
        breaks = [
            number
            for number in range(1, len(spans))
            if spans[number][0] - spans[number - 1][1] > 0
            and _SENTENCE_END.search(text, spans[number - 1][1], spans[number][0])
        ]
        edges = [0, *breaks, len(spans)]
        tokens = tuple(_NUMBER.sub(_NUMBER_TOKEN, match[0].casefold()) for match in matches)
        return cls(text, tokens, spans, [pair for pair in itertools.pairwise(edges) if pair[0] < pair[1]])

    def whole_sentences(self) -> Iterator[tuple[int, int]]:
        """Sentences that may be boilerplate: long enough, and ended by punctuation or the end of the text."""
        least = SENTENCE_CHARACTERS if self.without_spaces else SENTENCE_WORDS
        for start, end in self.sentences:
            ended = end == len(self.tokens) or _SENTENCE_END.match(self.text, self.spans[end - 1][1])
            if ended and sum(token != _NUMBER_TOKEN for token in self.tokens[start:end]) >= least:
                yield start, end

    def runs(self) -> Iterator[tuple[int, int]]:
        """All runs of tokens that count as a passage."""
        length = RUN_CHARACTERS if self.without_spaces else RUN_WORDS
        return ((start, start + length) for start in range(len(self.tokens) - length + 1))

    @cached_property
    def without_spaces(self) -> bool:
        """Whether most tokens are characters of a script without spaces."""
        return 2 * sum(_CHARACTER.fullmatch(token) is not None for token in self.tokens) > len(self.tokens)

    def units(self) -> Iterator[tuple[int, int]]:
        """Everything that may be boilerplate."""
        yield from self.whole_sentences()
        yield from self.runs()

    def covered(self, known: frozenset[Tokens] | set[Tokens]) -> list[bool]:
        """Which tokens lie in a known unit."""
        covered = [False] * len(self.tokens)
        for start, end in self.units():
            if self.tokens[start:end] in known:
                covered[start:end] = [True] * (end - start)
        return covered

    def outside(self, covered: Sequence[bool]) -> list[str]:
        """The tokens that are not covered."""
        return [token for token, inside in zip(self.tokens, covered, strict=True) if not inside]

    def pieces(self, covered: Sequence[bool]) -> Iterator[tuple[int, int]]:
        """The covered tokens, cut at the ends of sentences."""
        for first, last in self.sentences:
            start = None
            for number in range(first, last + 1):
                inside = number < last and covered[number]
                if inside and start is None:
                    start = number
                if not inside and start is not None:
                    yield start, number
                    start = None


@dataclass(frozen=True)
class Boilerplate:
    """Passages that are left out of every text."""

    passages: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.passages)

    @cached_property
    def _units(self) -> frozenset[Tokens]:
        units: set[Tokens] = set()
        for passage in self.passages:
            parsed = _Text.of(passage)
            units.add(parsed.tokens)
            units.update(parsed.tokens[start:end] for start, end in parsed.runs())
        return frozenset(units)

    def remove_from(self, text: str) -> str:
        """Return the text without the passages; a text that holds nothing else stays as it is.

        >>> Boilerplate(("Batteries are not included.",)).remove_from("A red lamp. Batteries are not included. For your desk.")
        'A red lamp. For your desk.'
        """
        if not self.passages:
            return text
        parsed = _Text.of(text)
        covered = parsed.covered(self._units)
        if not any(covered) or all(covered):
            return text
        return _without(parsed, covered)


def _without(parsed: _Text, covered: Sequence[bool]) -> str:
    """Return the text without the covered tokens and the punctuation that follows them."""
    kept: list[str] = []
    position = 0
    for number, inside in enumerate(covered):
        if inside:
            kept.append(
                parsed.text[position : parsed.spans[number][0]] if number == 0 or not covered[number - 1] else ""
            )
            after = parsed.spans[number + 1][0] if number + 1 < len(covered) else len(parsed.text)
            position = after
    kept.append(parsed.text[position:])
    return " ".join(" ".join(kept).split())


def detect(titles: Sequence[str], texts: Sequence[str]) -> Boilerplate:
    """Find the boilerplate in the texts of a sample of items, whose titles tell what the items are about; both are cleaned."""
    parsed = [_Text.of(text) for text in texts]
    least = max(MIN_ITEMS, math.ceil(MIN_SHARE * len(parsed)))
    shared = _frequent(parsed, least)
    if not shared:
        return Boilerplate()
    covered = [text.covered(shared) for text in parsed]
    names = [_Text.of(title).tokens for title in titles]
    rest = _Rest([[*name, *text.outside(marks)] for name, text, marks in zip(names, parsed, covered, strict=True)])
    frequency = Counter(token for text in parsed for token in set(text.tokens))
    pieces = [piece for piece in _pieces(parsed, covered, least) if piece.has_words_of_its_own(frequency)]
    chosen = [(len(piece.texts), piece.written) for piece in pieces if rest.is_like_any(piece.texts)]
    chosen.sort(key=lambda entry: (-entry[0], entry[1]))
    return Boilerplate(tuple(written for _, written in chosen[:MAX_PASSAGES]))


def _frequent(parsed: Iterable[_Text], least: int) -> set[Tokens]:
    """Return the units that at least so many texts share; counted by hash first, which saves memory."""
    texts = list(parsed)
    counts = Counter(code for text in texts for code in {hash(text.tokens[start:end]) for start, end in text.units()})
    frequent = {code for code, count in counts.items() if count >= least}
    return {unit for text in texts for start, end in text.units() if hash(unit := text.tokens[start:end]) in frequent}


@dataclass
class _Piece:
    """A passage that texts share."""

    tokens: Tokens
    written: str
    """How the first of the texts writes it."""
    sentence: bool
    """Whether it is a whole sentence."""
    texts: list[int] = field(default_factory=list)

    def is_shared(self, least: int) -> bool:
        """Whether enough texts hold it; ``least`` of them for a sentence."""
        return len(self.texts) >= (least if self.sentence else 3 * least)

    def has_words_of_its_own(self, frequency: Mapping[str, int]) -> bool:
        """Whether half of the texts that use one of its words hold it; the words of genres and tags stand in many lists."""
        return any(len(self.texts) >= OWN_SHARE * frequency[token] for token in self.tokens if token != _NUMBER_TOKEN)


def _pieces(parsed: Sequence[_Text], covered: Sequence[Sequence[bool]], least: int) -> list[_Piece]:
    """Return the passages that enough texts share; a rare one may be a template with filled slots, and is cut into runs."""
    whole: dict[Tokens, _Piece] = {}
    runs: dict[Tokens, _Piece] = {}
    for number, (text, marks) in enumerate(zip(parsed, covered, strict=True)):
        sentences = set(text.whole_sentences())
        for start, end in text.pieces(marks):
            _count(whole, text, start, end, number, (start, end) in sentences)
    rare = {tokens for tokens, piece in whole.items() if not piece.is_shared(least)}
    for number, (text, marks) in enumerate(zip(parsed, covered, strict=True)):
        inside = [pair for pair in text.pieces(marks) if text.tokens[slice(*pair)] in rare]
        for start, end in text.runs():
            if any(first <= start and end <= last for first, last in inside):
                _count(runs, text, start, end, number, sentence=False)
    return [piece for piece in (*whole.values(), *runs.values()) if piece.is_shared(least)]


def _count(pieces: dict[Tokens, _Piece], text: _Text, start: int, end: int, number: int, sentence: bool) -> None:
    """Count a passage of text ``number``, once per text."""
    first, last = text.spans[start][0], text.spans[end - 1][1]
    stop = _SENTENCE_END.match(text.text, last)
    written = text.text[first : stop.end() if stop else last][:MAX_PASSAGE_LENGTH]
    piece = pieces.setdefault(text.tokens[start:end], _Piece(text.tokens[start:end], written, sentence))
    if not piece.texts or piece.texts[-1] != number:
        piece.texts.append(number)


class _Rest:
    """What is left of the texts without their shared passages, and how much alike it is."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        self._lengths = np.array([len(tokens) for tokens in texts])
        self._rows = _sketches(texts)
        self._likeness = _likeness(self._rows)

    def is_like_any(self, texts: Sequence[int]) -> bool:
        """Whether these texts are about anything, to judge by what is left of them; False if too little is left."""
        if np.median(self._lengths[texts]) < REST_TOKENS:
            return False
        if len(texts) >= ALWAYS_SHARE * len(self._lengths):
            return True
        noise = 3 / math.sqrt(SKETCH * len(texts) * (len(texts) - 1) / 2)  # three standard errors for unrelated texts
        return _likeness(self._rows[texts]) <= MAX_LIKENESS * self._likeness + noise


def _sketches(texts: Sequence[Sequence[str]]) -> np.ndarray:
    """Return a unit vector of hashed words per text, rare words weighing more; float array (texts, SKETCH)."""
    frequency = Counter(token for tokens in texts for token in set(tokens))
    rows = np.zeros((len(texts), SKETCH), dtype=np.float32)
    for number, tokens in enumerate(texts):
        for token in set(tokens):
            code = zlib.crc32(token.encode())
            rows[number, code % SKETCH] += (1 if code >> 31 else -1) * math.log(1 + len(texts) / frequency[token])
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)


def _likeness(rows: np.ndarray) -> float:
    """Return the mean cosine between different rows."""
    count = len(rows)
    if count < 2:
        return 1.0
    total = rows.sum(axis=0)
    return float((total @ total - (rows * rows).sum()) / (count * (count - 1)))
