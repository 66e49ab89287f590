"""Says in sentences what is known of a user: the evidence, and its templates in English and Chinese.

A template needs no language model. Whatever it says stands in its evidence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from llmrec_qdrant.contracts.answers import Language
from llmrec_qdrant.space.ids import digest

__all__ = [
    "NUMBER_WORDS",
    "BlurbEvidence",
    "PortraitEvidence",
    "Strand",
    "Way",
    "WayKind",
    "blurb",
    "digest_of",
    "language_of",
    "listed",
    "portrait",
    "quoted",
]

NUMBER_WORDS = frozenset({
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "dozen", "twenty", "hundred",
    "thousand", "million", "first", "second", "third", "half", "once", "twice", "一", "二", "两", "三", "四", "五", "六", "七", "八", "九",
    "十", "百", "千", "万", "一个", "两个", "三个", "第一", "第二", "第三", "一半",
})  # fmt: skip
"""Words that count: as evidence they say nothing, and in a text they would claim a number."""
MAX_TITLE = 80
"""Characters of a title in a sentence."""

Trend = Literal["rising", "steady", "fading"]
WayKind = Literal["close", "words", "followed", "boosted"]


@dataclass(frozen=True)
class Strand:
    """One interest: what it is about, and the items that show it."""

    label: str
    trend: Trend
    keywords: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    """Ids of the items, strongest first."""
    titles: tuple[str, ...] = ()
    """Title of each of these items."""


@dataclass(frozen=True)
class PortraitEvidence:
    """What a portrait may say: the strongest interests, strongest first."""

    strands: tuple[Strand, ...] = ()


@dataclass(frozen=True)
class Way:
    """One way in which an item was found, and what of the user carries it."""

    kind: WayKind
    """close: in meaning; words: shared; followed: others took it next; boosted: a topic that the user asked for more of."""
    items: tuple[str, ...] = ()
    """Ids of the user's items that carry it, strongest first."""
    titles: tuple[str, ...] = ()
    """Title of each of these items."""
    words: tuple[str, ...] = ()
    """Shared words, strongest first; of a boost, the label of its topic."""
    of: Literal["items", "texts", "history"] = "items"
    """Carried by these items (or, where there are none, by those that carry most of the score), by what the user wrote or searched
    for, or by all that they took."""


@dataclass(frozen=True)
class BlurbEvidence:
    """What a blurb may say: the item, what carries its score, and the interest that it belongs to."""

    item: str
    title: str
    strand: Strand | None = None
    taken: tuple[str, ...] = ()
    """Ids of the user's items that carry most of the score."""
    titles: tuple[str, ...] = ()
    """Title of each of these items."""
    ways: tuple[Way, ...] = ()
    """Greatest contribution first."""

    @property
    def known(self) -> dict[str, str]:
        """Id → title of all items of the user in this evidence, those that carry most first."""
        pairs = [(self.taken, self.titles), *((way.items, way.titles) for way in self.ways)]
        return {item: title for items, titles in pairs for item, title in zip(items, titles, strict=True)}


Evidence = PortraitEvidence | BlurbEvidence


def digest_of(evidence: Evidence, language: Language) -> str:
    """Return a digest that changes with the evidence and the language."""
    return digest(type(evidence).__name__, language, json.dumps(asdict(evidence), ensure_ascii=False))


def language_of(texts: Sequence[str]) -> Language:
    """Return the language of texts: Chinese if at least half of them have a Han character.

    >>> language_of(["流浪地球", "Alien"]), language_of(["Alien"]), language_of([])
    ('zh', 'en', 'en')
    """
    chinese = sum(any("\u4e00" <= letter <= "\u9fff" for letter in text) for text in texts)
    return "zh" if texts and 2 * chinese >= len(texts) else "en"


def quoted(title: str) -> str:
    r"""Return a title in quotation marks, on one line and cut to ``MAX_TITLE`` characters; its own marks become single ones.

    >>> quoted("The\nMartian")
    '“The Martian”'
    """
    title = title.translate({ord("“"): "‘", ord("”"): "’"})
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in title).split())
    return f"“{line if len(line) <= MAX_TITLE else line[: MAX_TITLE - 1].rstrip() + '…'}”"


def listed(parts: Sequence[str], language: Language) -> str:
    """Return a list as part of a sentence.

    >>> listed(["a", "b", "c"], "en"), listed(["a", "b"], "zh"), listed([], "en")
    ('a, b and c', 'a、b', '')
    """
    if language == "zh":
        return "、".join(parts)
    return "".join(parts) if len(parts) < 2 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _about(strand: Strand, language: Language) -> str:
    """Return the label of an interest as part of a sentence: a label of several words joined by dots is a list."""
    return listed([part for part in strand.label.split(" · ") if part], language)


def _such_as(strand: Strand, language: Language) -> str:
    titles = listed([quoted(title) for title in strand.titles], language) if strand.titles else ""
    return titles and (f", such as {titles}" if language == "en" else f"，例如{titles}")


def portrait(evidence: PortraitEvidence, language: Language) -> str:
    """Return two sentences on what a user cares about; one, that nothing is known yet, without interests."""
    if not evidence.strands:
        return "Your interests are not known yet." if language == "en" else "暂时还不知道你的兴趣。"
    first, *others = evidence.strands
    about, such = _about(first, language), _such_as(first, language)
    if language == "zh":
        return f"你最关心的是{about}{such}。" + _second_zh(first, others)
    return f"What you care about most is {about}{such}. " + _second_en(first, others)


def _second_en(first: Strand, others: Sequence[Strand]) -> str:
    if others:
        next_, rising = others[0], [_about(strand, "en") for strand in others[1:] if strand.trend == "rising"]
        more = f", and you turn more and more to {rising[0]}" if rising else ""
        return f"Next comes {_about(next_, 'en')}{_such_as(next_, 'en')}{more}."
    how = {"rising": "is growing", "steady": "is steady", "fading": "is fading"}[first.trend]
    return f"This interest {how}."


def _second_zh(first: Strand, others: Sequence[Strand]) -> str:
    if others:
        next_, rising = others[0], [_about(strand, "zh") for strand in others[1:] if strand.trend == "rising"]
        more = f"，最近也越来越关注{rising[0]}" if rising else ""
        return f"其次是{_about(next_, 'zh')}{_such_as(next_, 'zh')}{more}。"
    how = {"rising": "正在增强", "steady": "保持稳定", "fading": "正在减弱"}[first.trend]
    return f"这个兴趣{how}。"


def blurb(evidence: BlurbEvidence, language: Language) -> str:
    """Return why an item is for a user, in one sentence; that nothing known speaks for it, where nothing does."""
    title = quoted(evidence.title or evidence.item)
    if evidence.strand is None and not evidence.ways:
        return (
            f"Nothing that is known about you speaks for {title} in particular."
            if language == "en"
            else f"目前没有什么能说明{title}特别适合你。"
        )
    return _blurb_zh(title, evidence) if language == "zh" else _blurb_en(title, evidence)


_WROTE: Mapping[Language, str] = {"en": "what you wrote or searched for", "zh": "你写过或搜索过的文字"}
_TOOK: Mapping[Language, str] = {"en": "what you took", "zh": "你选过的内容"}


def _carriers(way: Way, language: Language, them: str) -> str:
    """Return what carries a way; ``them`` for the items that the sentence has named."""
    if way.of != "items":
        return (_WROTE if way.of == "texts" else _TOOK)[language]
    return listed([quoted(title) for title in way.titles], language) or them


def _blurb_en(title: str, evidence: BlurbEvidence) -> str:
    taken = listed([quoted(known) for known in evidence.titles], "en")
    them = "them" if len(evidence.titles) > 1 else "it"
    predicates: list[str] = []
    followed = ""
    for way in evidence.ways:
        names, words = _carriers(way, "en", them), listed(way.words, "en")
        match way.kind:
            case "close":
                predicates.append(f"is close in meaning to {names}")
            case "words":
                predicates.append(f"shares the word{'s' if len(way.words) > 1 else ''} {words} with {names}")
            case "boosted":
                predicates.append(f"belongs to {words}, of which you asked for more")
            case "followed":
                followed = "next" if names == them else f"after {names}"
    if evidence.strand:
        predicates.append(f"belongs to {_about(evidence.strand, 'en')}, which you follow")
    clauses = [f"{title} {listed(predicates, 'en')}"] if predicates else []
    if followed:
        clauses.append(f"others took {'it' if predicates else title} {followed}")
    said = ", and ".join(clauses)
    return f"Because you took {taken}: {said}." if taken else f"{said[0].upper()}{said[1:]}."


def _blurb_zh(title: str, evidence: BlurbEvidence) -> str:
    taken = listed([quoted(known) for known in evidence.titles], "zh")
    them = "它们" if len(evidence.titles) > 1 else "它"
    clauses: list[str] = []
    followed = ""
    for way in evidence.ways:
        names, words = _carriers(way, "zh", them), listed(way.words, "zh")
        match way.kind:
            case "close":
                clauses.append(f"与{names}内容相近")
            case "words":
                clauses.append(f"与{names}都提到{words}")
            case "boosted":
                clauses.append(f"属于你想多看的{words}")
            case "followed":
                followed = f"选过{names}的人接着也选了{title}"
    if evidence.strand:
        clauses.append(f"属于你关注的{_about(evidence.strand, 'zh')}")
    said = "，".join(([f"{title}{'，'.join(clauses)}"] if clauses else []) + ([followed] if followed else []))
    return f"{f'因为你选过{taken}：' if taken else ''}{said}。"
