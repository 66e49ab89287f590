"""Says in one sentence why an item is listed, in English or Chinese. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from llmrec_qdrant.contracts.evidence import Adjustment, EventEvidence, LegEvidence
from llmrec_qdrant.space.layout import COLLAB, DENSE, TFIDF

__all__ = ["NAMED_SHARE", "Language", "sentence"]

Language = Literal["en", "zh"]

NAMED_SHARE = 0.2
"""Share of the positive contributions from which a leg or a steered topic is named."""
MAX_NAMED = 2
"""Items that one phrase names."""
MAX_WORDS = 3
"""Words that one phrase names."""
NAMED_EVENT = 0.1
"""Share of a leg's contribution from which an item or word is named."""


def sentence(legs: Sequence[LegEvidence], adjustments: Sequence[Adjustment], language: Language = "en") -> str:
    """Return the reason; empty if nothing that can be named carries ``NAMED_SHARE`` of the positive contributions."""
    say = _PHRASES[language]
    everything = [part.contribution for part in legs] + [part.contribution for part in adjustments]
    positive = sum(value for value in everything if value > 0)
    phrases = [
        phrase
        for leg in legs
        if leg.contribution > 0 and leg.contribution >= NAMED_SHARE * positive
        if (phrase := _of_leg(leg, say, language))
    ]
    for part in adjustments:
        if part.kind == "boost" and part.contribution >= NAMED_SHARE * positive:
            phrases.append(say["boost"](part.label, ""))
    return ("；" if language == "zh" else "; ").join(dict.fromkeys(phrases))


def _of_leg(leg: LegEvidence, say: Mapping[str, Callable[[str, str], str]], language: Language) -> str:
    names = _listed([_name(event, language) for event in _named(leg)], language)
    words = [word.word for word in leg.words if word.contribution >= NAMED_EVENT * leg.contribution][:MAX_WORDS]
    if leg.leg == TFIDF and words:
        return say["words_of" if names else "words"](("、" if language == "zh" else ", ").join(words), names)
    return say[leg.leg](names, "") if names else ""


def _named(leg: LegEvidence) -> list[EventEvidence]:
    strong = [event for event in leg.events if event.title and event.contribution >= NAMED_EVENT * leg.contribution]
    return strong[:MAX_NAMED]


def _name(event: EventEvidence, language: Language) -> str:
    return f"《{event.title}》" if language == "zh" else f"*{event.title}*"


def _listed(names: Sequence[str], language: Language) -> str:
    return ("和" if language == "zh" else " and ").join(names)


_ENGLISH: Mapping[str, Callable[[str, str], str]] = {
    COLLAB: lambda names, _: f"because you took {names}: others took this next",
    DENSE: lambda names, _: f"close in meaning to {names}",
    TFIDF: lambda names, _: f"shares words with {names}",
    "words_of": lambda words, names: f"shares the words {words} with {names}",
    "words": lambda words, _: f"has the words {words}",
    "boost": lambda label, _: f"you boosted {label}" if label else "in a topic that you boosted",
}
_CHINESE: Mapping[str, Callable[[str, str], str]] = {
    COLLAB: lambda names, _: f"因为您选过{names}：选过的人接着选了它",
    DENSE: lambda names, _: f"与{names}意思相近",
    TFIDF: lambda names, _: f"与{names}用词相同",
    "words_of": lambda words, names: f"与{names}都有这些词：{words}",
    "words": lambda words, _: f"含有这些词：{words}",
    "boost": lambda label, _: f"您提高了“{label}”的权重" if label else "属于您提高了权重的主题",
}
_PHRASES: Mapping[Language, Mapping[str, Callable[[str, str], str]]] = {"en": _ENGLISH, "zh": _CHINESE}
