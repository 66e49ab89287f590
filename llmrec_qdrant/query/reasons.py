"""Says in one sentence why an item is listed, in English or Chinese. Pure.

A reason is a code with data (:class:`Reason`); the sentence only puts it into words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Literal

from llmrec_qdrant.contracts.evidence import Adjustment, EventEvidence, LegEvidence, Reason
from llmrec_qdrant.query.templates import NUMBER_WORDS
from llmrec_qdrant.space.layout import COLLAB, DENSE, TFIDF

__all__ = ["CLOSE", "NAMED_SHARE", "Language", "Origin", "reasons_of", "sentence", "tells"]

Language = Literal["en", "zh"]
Origin = Literal["history", "examples", "search"]
"""What a list is made from: a user's history, example items, or a text."""

NAMED_SHARE = 0.2
"""Share of the positive contributions from which a leg or a steered topic is named."""
MAX_NAMED = 2
"""Items that one reason names."""
MAX_WORDS = 3
"""Words that one reason names."""
NAMED_EVENT = 0.1
"""Share of a leg's contribution from which an item or word is named."""
ALONE = 0.5
"""Share of a leg's contribution from which a single shared word of a history is a reason: less is often "film"."""
CLOSE = 0.1
"""Cosine from which an item is called close in meaning; unrelated texts often reach less."""

YEAR = re.compile(r"(?:1[89]|20)\d\d")
"""Years, which many titles hold and which say little in a reason."""


def reasons_of(
    legs: Sequence[LegEvidence],
    adjustments: Sequence[Adjustment],
    shared: Sequence[str] = (),
    origin: Origin = "history",
) -> list[Reason]:
    """Return what carries ``NAMED_SHARE`` of the positive contributions and can be named; greatest share first.

    ``shared`` are words of the item and of what the list is made from, where words have no contributions of their own.
    """
    everything = [part.contribution for part in legs] + [part.contribution for part in adjustments]
    positive = sum(value for value in everything if value > 0)
    named = [leg for leg in legs if leg.contribution > 0 and leg.contribution >= NAMED_SHARE * positive]
    found = [reason for leg in named if (reason := _of_leg(leg, leg.contribution / positive, shared, origin))]
    for part in adjustments:
        if part.kind == "boost" and 0 < part.contribution >= NAMED_SHARE * positive:
            words = [part.label] if part.label else []
            found.append(Reason(code="boosted", share=part.contribution / positive, of="steering", words=words))
    return sorted(found, key=lambda reason: -reason.share)


def _of_leg(leg: LegEvidence, share: float, shared: Sequence[str], origin: Origin) -> Reason | None:
    if leg.leg == TFIDF:
        return _of_words(leg, share, shared, origin)
    if leg.leg == DENSE and leg.score < CLOSE:
        return None
    strong = [event for event in leg.events if event.contribution >= NAMED_EVENT * leg.contribution]
    items = [event for event in strong if event.item is not None][:MAX_NAMED]
    ids, titles = [str(event.item) for event in items], [_title(event) for event in items]
    of = ("examples" if origin == "examples" else "items") if items else _unnamed(strong, origin)
    return Reason(code="followed" if leg.leg == COLLAB else "close", share=share, of=of, items=ids, titles=titles)


def _of_words(leg: LegEvidence, share: float, shared: Sequence[str], origin: Origin) -> Reason | None:
    """Return shared words as a reason; None if too few say something."""
    strong = {word.word: word.contribution for word in leg.words if word.contribution >= NAMED_EVENT * leg.contribution}
    words = [word for word in strong or shared if tells(word)][:MAX_WORDS]
    alone = len(words) == 1 and strong.get(words[0], 0.0) >= ALONE * leg.contribution
    if not words or (origin == "history" and len(words) == 1 and not alone):
        return None
    return Reason(code="words", share=share, of=_unnamed(leg.events, origin), words=words)


def _unnamed(events: Sequence[EventEvidence], origin: Origin) -> Literal["texts", "history", "examples", "search"]:
    """Return what a reason rests on that names no item: texts where they carry the most."""
    if origin != "history":
        return origin
    texts = sum(event.contribution for event in events if event.item is None)
    return "texts" if texts > sum(event.contribution for event in events if event.item is not None) else "history"


def tells(word: str) -> bool:
    """Whether a word says something: no year, number or single letter."""
    return len(word) > 1 and not YEAR.fullmatch(word) and word.lower() not in NUMBER_WORDS


def _title(event: EventEvidence) -> str:
    return event.title or str(event.item)


# --- in words -------------------------------------------------------------------------------------


def sentence(reasons: Sequence[Reason], language: Language = "en") -> str:
    """Return the reasons in one sentence; those that rest on the same items follow their names together."""
    say, chinese = _PHRASES[language], language == "zh"
    parts = []
    for (of, titles), group in groupby(_together(reasons), key=lambda reason: (reason.of, tuple(reason.titles))):
        names = ("和" if chinese else " and ").join(_quoted(title, chinese) for title in titles)
        words = [say[reason.code](_listed(reason.words, chinese), say[f"of {of}"](names, "")) for reason in group]
        lead = say["because"](names, "") if of == "items" else ""
        parts.append(lead + ("，" if chinese else ", ").join(words))
    return ("；" if chinese else "; ").join(parts)


def _together(reasons: Sequence[Reason]) -> list[Reason]:
    """Order reasons so that those on the same items stand together, in the place of the first."""
    places = {key: place for place, key in reversed(list(enumerate(map(_rests_on, reasons))))}
    return sorted(reasons, key=lambda reason: places[_rests_on(reason)])


def _rests_on(reason: Reason) -> tuple[str, tuple[str, ...]]:
    return reason.of, tuple(reason.titles)


def _quoted(title: str, chinese: bool) -> str:
    return f"《{title}》" if chinese else f"*{title}*"


def _listed(words: Sequence[str], chinese: bool) -> str:
    return ("、" if chinese else ", ").join(words)


Say = Callable[[str, str], str]
_ENGLISH: Mapping[str, Say] = {
    "because": lambda names, _: f"because you took {names}: ",
    "followed": lambda _, of: f"others took this after {of}" if of else "others took this next",
    "close": lambda _, of: f"close in meaning{f' to {of}' if of else ''}",
    "words": lambda words, of: f"shares the word{'s' if ', ' in words else ''} {words} with {of}",
    "boosted": lambda label, _: f"you asked for more of {label}" if label else "in a topic that you asked for more of",
    "of items": lambda _names, _: "",
    "of texts": lambda _names, _: "what you wrote or searched for",
    "of history": lambda _names, _: "what you took",
    "of examples": lambda names, _: names,
    "of search": lambda _names, _: "your search",
    "of steering": lambda _names, _: "",
}
_CHINESE: Mapping[str, Say] = {
    "because": lambda names, _: f"因为您选过{names}：",
    "followed": lambda _, of: f"选过{of}的人接着选了这个" if of else "选过的人接着选了这个",
    "close": lambda _, of: f"与{of}意思相近" if of else "意思相近",
    "words": lambda words, of: f"与{of}都有这些词：{words}",
    "boosted": lambda label, _: f"您想多看{label}" if label else "属于您想多看的主题",
    "of items": lambda _names, _: "",
    "of texts": lambda _names, _: "您写过或搜索过的文字",
    "of history": lambda _names, _: "您选过的内容",
    "of examples": lambda names, _: names,
    "of search": lambda _names, _: "您的搜索",
    "of steering": lambda _names, _: "",
}
_PHRASES: Mapping[Language, Mapping[str, Say]] = {"en": _ENGLISH, "zh": _CHINESE}
