"""Says in sentences what is known of a user: the evidence, and its templates in English and Chinese.

A template needs no language model. Whatever it says stands in its evidence.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from llmrec_qdrant.contracts.answers import Language
from llmrec_qdrant.space.ids import digest

__all__ = [
    "NUMBER_WORDS",
    "BlurbEvidence",
    "PortraitEvidence",
    "Strand",
    "blurb",
    "digest_of",
    "language_of",
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
class BlurbEvidence:
    """What a blurb may say: the item, the interest that it belongs to, and the words that it shares with the user."""

    item: str
    title: str
    strand: Strand | None = None
    shared: tuple[str, ...] = ()


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
    r"""Return a title in quotation marks, on one line and cut to ``MAX_TITLE`` characters.

    >>> quoted("The\nMartian")
    '“The Martian”'
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in title).split())
    return f"“{line if len(line) <= MAX_TITLE else line[: MAX_TITLE - 1].rstrip() + '…'}”"


def _listed(parts: Sequence[str], language: Language) -> str:
    if language == "zh":
        return "、".join(parts)
    return parts[0] if len(parts) < 2 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _about(strand: Strand, language: Language) -> str:
    """Return the label of an interest as part of a sentence: a label of several words joined by dots is a list."""
    return _listed([part for part in strand.label.split(" · ") if part], language)


def _such_as(strand: Strand, language: Language) -> str:
    titles = _listed([quoted(title) for title in strand.titles], language) if strand.titles else ""
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
        more = f", and you turn more and more to {_listed(rising, 'en')}" if rising else ""
        return f"Next comes {_about(next_, 'en')}{_such_as(next_, 'en')}{more}."
    how = {"rising": "is growing", "steady": "is steady", "fading": "is fading"}[first.trend]
    return f"This interest {how}."


def _second_zh(first: Strand, others: Sequence[Strand]) -> str:
    if others:
        next_, rising = others[0], [_about(strand, "zh") for strand in others[1:] if strand.trend == "rising"]
        more = f"，最近也越来越关注{_listed(rising, 'zh')}" if rising else ""
        return f"其次是{_about(next_, 'zh')}{_such_as(next_, 'zh')}{more}。"
    how = {"rising": "正在增强", "steady": "保持稳定", "fading": "正在减弱"}[first.trend]
    return f"这个兴趣{how}。"


def blurb(evidence: BlurbEvidence, language: Language) -> str:
    """Return why an item is for a user, in one sentence; that nothing known speaks for it, where nothing does."""
    title, strand = quoted(evidence.title or evidence.item), evidence.strand
    shared = _listed(evidence.shared, language) if evidence.shared else ""
    if strand is None and not shared:
        return (
            f"Nothing that is known about you speaks for {title} in particular."
            if language == "en"
            else f"目前没有什么能说明{title}特别适合你。"
        )
    return _blurb_zh(title, strand, shared) if language == "zh" else _blurb_en(title, strand, shared)


def _blurb_en(title: str, strand: Strand | None, shared: str) -> str:
    if strand is None:
        return f"{title} shares words with what you took: {shared}."
    liked = _listed([quoted(known) for known in strand.titles], "en") if strand.titles else ""
    because = f"Because you took {liked}: " if liked else ""
    words = f", and shares words with what you took: {shared}" if shared else ""
    return f"{because}{title} belongs to {_about(strand, 'en')}, which you follow{words}."


def _blurb_zh(title: str, strand: Strand | None, shared: str) -> str:
    if strand is None:
        return f"{title}和你选过的内容有共同的词：{shared}。"
    liked = _listed([quoted(known) for known in strand.titles], "zh") if strand.titles else ""
    because = f"因为你选过{liked}：" if liked else ""
    words = f"，并和你选过的内容有共同的词：{shared}" if shared else ""
    return f"{because}{title}属于你关注的{_about(strand, 'zh')}{words}。"
