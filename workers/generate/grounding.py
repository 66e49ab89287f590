"""What a language model sees of a user, and the check of what it wrote.

Titles, texts, reviews and ids never reach the model. It sees labels and single keywords of topics, and items as handles such
as ``{1}``; titles replace the handles afterwards. So no sentence of a stranger can instruct it. And it can say nothing new: every
word of its text must be a word of the labels and keywords, or one of a closed list of plain words without numbers, negations,
names and praise. Whatever else it says is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from llmrec_qdrant.contracts.answers import Language
from llmrec_qdrant.query.single_words import has_han, single_words
from llmrec_qdrant.query.templates import (
    BlurbEvidence,
    Evidence,
    PortraitEvidence,
    Strand,
    WayKind,
    quoted,
)
from llmrec_qdrant.query.topic_templates import TopicEvidence

from ..text.stems import stem
from .vocabulary import CLAIMS, FADING, PLAIN, RISING

__all__ = ["Shown", "cut", "forms", "grounded", "of_topic", "shown", "single_words"]

MAX_TEXT = 400
"""Characters of a text, with titles as handles."""
MAX_PHRASE = 2
"""Words of a part of a label that stand together ("robin hood"); longer parts are shown word by word."""
MAX_SENTENCES = 2
"""Sentences of a text."""
_PARTS = re.compile(
    r"\{(\d+)\}|([^\W\d_\u4e00-\u9fff][^\W_\u4e00-\u9fff]*(?:['’-][^\W_\u4e00-\u9fff]+)*)|([\u4e00-\u9fff]+)|(\d+)|(\s+)|(.)",
    re.S,
)
_PUNCTUATION = frozenset(".,;:!?'’()–—-，。；：！？、（）·")
_SENTENCE = re.compile(r"(?:[^.!?。！？]|[.!?](?=\S))+(?:[.!?](?=\s|$)|[。！？])\s*")
_HANDLE = re.compile(r"\{(\d+)\}")
_QUOTED_HANDLE = re.compile(r"[“\"《]\{(\d+)\}[”\"》]")


@dataclass(frozen=True)
class Shown:
    """What the model sees, and what its text may contain."""

    document: Mapping[str, Any]
    titles: Sequence[str]
    """Title behind each handle: ``{0}`` is the first."""
    owners: Sequence[frozenset[int]]
    """Per handle: the interests that it is evidence of; empty: any."""
    words: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """Word, or its stem, of labels and keywords → interests that have it."""
    trends: Sequence[str] = ()
    """Trend of each interest."""
    needed: frozenset[int] = frozenset()
    """Handles that the text must contain."""
    ways: Mapping[WayKind, frozenset[int]] = field(default_factory=dict)
    """Way in which the item was found → handles that carry it."""
    shared: frozenset[str] = frozenset()
    """Words that the item shares with the user."""
    name: frozenset[str] = frozenset()
    """Words of which the text must have one; empty: any words."""


def shown(evidence: Evidence) -> Shown:
    """Return what the model sees of the evidence."""
    return _portrait(evidence) if isinstance(evidence, PortraitEvidence) else _blurb(evidence)


def _portrait(evidence: PortraitEvidence) -> Shown:
    titles: list[str] = []
    owners: list[frozenset[int]] = []
    interests = []
    for number, strand in enumerate(evidence.strands):
        interests.append({**_interest(strand), "items": _handles(range(len(titles), len(titles) + len(strand.titles)))})
        titles += strand.titles
        owners += [frozenset({number})] * len(strand.titles)
    trends = [strand.trend for strand in evidence.strands]
    return Shown({"cares_about": interests}, titles, owners, _words(evidence.strands), trends)


_SAID: Mapping[WayKind, str] = {
    "close": "close in meaning",
    "words": "shares words",
    "followed": "others took it next",
    "boosted": "the person asked for more of it",
}


def _blurb(evidence: BlurbEvidence) -> Shown:
    places = {item: place for place, item in enumerate(evidence.known, start=1)}
    carried: dict[WayKind, frozenset[int]] = {}
    told = []
    for way in evidence.ways:
        items = [places[item] for item in way.items or evidence.taken] if way.of == "items" else []
        if way.kind == "boosted":
            items = []
        carried[way.kind] = frozenset(items)
        told.append({"way": _SAID[way.kind], "items": _handles(items), "words": _label_words(way.words)})
    document: dict[str, Any] = {"item": "{0}", "because_of": told}
    strands = [evidence.strand] if evidence.strand else []
    if evidence.strand:
        document["interest"] = _interest(evidence.strand)
    titles, words = [evidence.title or evidence.item, *evidence.known.values()], _words(strands)
    shared = {form for way in evidence.ways for word in _label_words(way.words) for form in forms(word)}
    words |= {form: words.get(form, frozenset()) | {0} for form in shared}
    free: list[frozenset[int]] = [frozenset()] * len(titles)
    return Shown(document, titles, free, words, needed=frozenset({0}), ways=carried, shared=frozenset(shared))


def of_topic(evidence: TopicEvidence) -> Shown:
    """Return what the model sees of a topic: its words, and no item."""
    strand = Strand(evidence.label, "steady", evidence.keywords)
    document = {name: value for name, value in _interest(strand).items() if name != "trend"}
    needed = frozenset(form for word in _label_words([evidence.label]) for form in forms(word))
    return Shown(document, (), (), _words([strand]), name=needed)


def _handles(places: Iterable[int]) -> list[str]:
    return [f"{{{place}}}" for place in places]


def _label_words(labels: Sequence[str]) -> list[str]:
    return [word for label in labels for part in label.split(" · ") for word in single_words(part.split())]


def _interest(strand: Strand) -> dict[str, Any]:
    parts = [single_words(part.split()) for part in strand.label.split(" · ")]
    name = [word for part in parts for word in ([" ".join(part)] if len(part) <= MAX_PHRASE else part) if word]
    return {
        "name": ("、" if has_han("".join(name)) else ", ").join(name),
        "trend": strand.trend,
        "keywords": single_words(strand.keywords),
    }


def forms(word: str) -> set[str]:
    """Return a word in lower case, and its stem."""
    lowered = word.lower()
    return {lowered, stem(lowered, "english")}


def _words(strands: Sequence[Strand]) -> dict[str, frozenset[int]]:
    words: dict[str, frozenset[int]] = {}
    for number, strand in enumerate(strands):
        for word in [*_label_words([strand.label]), *single_words(strand.keywords)]:
            for form in forms(word):
                words[form] = words.get(form, frozenset()) | {number}
    return words


# --- the check ------------------------------------------------------------------------------------


def grounded(text: str, sight: Shown, language: Language) -> str:
    """Return the text with titles in place of handles; "" if it says anything that is not in the evidence."""
    line = _QUOTED_HANDLE.sub(r"{\1}", " ".join(text.split()).strip('"“”'))
    sentences = _SENTENCE.findall(line)
    if not 0 < len(line) <= MAX_TEXT or not 0 < len(sentences) <= MAX_SENTENCES or "".join(sentences) != line:
        return ""
    reading = _Reading(sight, language)
    if not all(reading.knows(sentence) for sentence in sentences):
        return ""
    enough = reading.handles >= sight.needed and (reading.handles or not sight.titles)
    named = not sight.name or bool(reading.said & sight.name)
    if not enough or not named or not (reading.has_topic or reading.has_reason):
        return ""
    return _HANDLE.sub(lambda handle: quoted(sight.titles[int(handle[1])]), line)


class _Reading:
    """Reads a text from left to right, and compares it with the evidence."""

    def __init__(self, sight: Shown, language: Language) -> None:
        self._sight, self._language = sight, language
        self._topic: frozenset[int] = frozenset()
        self.handles: set[int] = set()
        self.said: set[str] = set()
        self.has_topic = False
        self.has_reason = False
        """Whether it names an item of the user that carries the score of the item, or a way in which it was found."""

    def knows(self, sentence: str) -> bool:
        """Whether every part is known, every item follows an interest of its own, and trends and ways are those of the evidence."""
        claims = _Claims(self._sight)
        for handle, word, han, number, _, other in _PARTS.findall(sentence):
            if number or (other and other not in _PUNCTUATION) or (handle and not self._stands(int(handle))):
                return False
            if handle:
                claims.handles.add(int(handle))
            if not all(self._takes(part, claims) for part in self._parts(word, han)):
                return False
        self.has_reason |= bool(claims.ways or (self._sight.ways and claims.handles - {0}))
        return claims.hold()

    def _takes(self, part: str, claims: _Claims) -> bool:
        """Take a word into the claims of the sentence; returns whether it is known."""
        if part in self._sight.words:
            self._topic, self.has_topic = self._sight.words[part], True
            claims.mentioned.append(part)
            self.said.add(part)
        elif way := CLAIMS[self._language].get(part):
            claims.ways.append(way)
        elif allowed := _trends_of(part, self._language):
            claims.trends.append(allowed)
        else:
            return part in PLAIN[self._language]
        return True

    def _stands(self, place: int) -> bool:
        """Note an item; returns whether the interest named last is one that the item belongs to."""
        self.handles.add(place)
        if place >= len(self._sight.titles):
            return False
        owner = self._sight.owners[place]
        return not self._topic or not owner or bool(owner & self._topic)

    def _parts(self, word: str, han: str) -> Sequence[str]:
        """Return the words of a run of letters; a word of the evidence as the evidence has it."""
        if han:
            return cut(han, {*self._sight.words, *PLAIN["zh"], *RISING["zh"], *FADING["zh"], *CLAIMS["zh"]})
        lowered = word.lower()
        return [next((form for form in sorted(forms(lowered)) if form in self._sight.words), lowered)] if word else []


@dataclass
class _Claims:
    """What one sentence says."""

    sight: Shown
    mentioned: list[str] = field(default_factory=list)
    """Words of the evidence."""
    handles: set[int] = field(default_factory=set)
    trends: list[frozenset[str]] = field(default_factory=list)
    """Per word on a trend: the trends of which it is true."""
    ways: list[frozenset[WayKind]] = field(default_factory=list)
    """Per word on a way in which the item was found: the ways of which it is true."""

    def hold(self) -> bool:
        """Whether the evidence has all of it."""
        return self._trends_hold() and self._ways_hold()

    def _trends_hold(self) -> bool:
        about = [self.sight.words[word] for word in self.mentioned]
        return all(self._has_trend(numbers, allowed) for numbers in about for allowed in self.trends) and (
            bool(about) or not self.trends
        )

    def _has_trend(self, about: frozenset[int], allowed: frozenset[str]) -> bool:
        return any(self.sight.trends[number] in allowed for number in about if number < len(self.sight.trends))

    def _ways_hold(self) -> bool:
        """Every way is one of the evidence, carries the items of the sentence, and shared words are shared ones."""
        narrow = [way for way in self.ways if not any(other < way for other in self.ways)]
        present = [frozenset(kind for kind in way if kind in self.sight.ways) for way in narrow]
        if not all(present):
            return False
        if frozenset({"words"}) in self.ways and not all(word in self.sight.shared for word in self.mentioned):
            return False
        carriers = {place for way in present for kind in way for place in self.sight.ways[kind]}
        return not present or self.handles <= carriers | {0}


def _trends_of(word: str, language: Language) -> frozenset[str]:
    """Return the trends of which a word is true; empty for any other word."""
    said = {"rising": RISING[language], "fading": FADING[language]}
    return frozenset(trend for trend, words in said.items() if word in words)


def cut(run: str, known: Set[str]) -> list[str]:
    """Cut a run of Han characters into known words, longest first; the run itself if something is left over."""
    ways: dict[int, list[str]] = {len(run): []}
    for start in range(len(run) - 1, -1, -1):
        for end in range(len(run), start, -1):
            if end in ways and run[start:end] in known:
                ways[start] = [run[start:end], *ways[end]]
                break
    return ways.get(0, [run])
