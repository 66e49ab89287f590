"""Says in words what a topic is about, and why a shelf is there: the evidence, and its templates in English and Chinese."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from llmrec_qdrant.contracts.answers import Language
from llmrec_qdrant.query.templates import NUMBER_WORDS, language_of, listed
from llmrec_qdrant.space.ids import digest

__all__ = ["TOPIC_TEXTS", "TopicEvidence", "TopicText", "digest_of", "language", "template"]

TopicText = Literal["description", "shelf"]
TOPIC_TEXTS: tuple[TopicText, ...] = ("description", "shelf")
"""Texts about a topic: what it is about, and the title of a shelf of its items."""
MAX_WORDS = 5
"""Words that a description names beside those of the label."""


@dataclass(frozen=True)
class TopicEvidence:
    """What a text about a topic may say."""

    topic: str
    label: str
    keywords: tuple[str, ...]

    @property
    def label_parts(self) -> list[str]:
        """The words of the label."""
        return [part for part in self.label.split(" · ") if part]


def language(evidence: TopicEvidence, chosen: Language | None) -> Language:
    """Return the chosen language, or that of the topic's words."""
    return chosen or language_of([*evidence.label_parts, *evidence.keywords])


def digest_of(evidence: TopicEvidence, kind: TopicText, language: Language) -> str:
    """Return a digest that changes with the evidence, the kind of text and the language."""
    return digest("topic", kind, language, json.dumps(asdict(evidence), ensure_ascii=False))


def template(evidence: TopicEvidence, kind: TopicText, language: Language) -> str:
    """Return the text that needs no language model.

    >>> template(TopicEvidence("1", "space · planet", ("space", "rocket")), "description", "en")
    'About space and planet; also rocket.'
    >>> template(TopicEvidence("1", "太空 · 飞船", ("太空", "火箭")), "shelf", "zh")
    '因为你关注太空、飞船'
    """
    about = listed(evidence.label_parts, language)
    if kind == "shelf":
        return f"Because you follow {about}" if language == "en" else f"因为你关注{about}"
    more = listed(_more(evidence.label_parts, evidence.keywords), language)
    if language == "en":
        return f"About {about}; also {more}." if more else f"About {about}."
    return f"关于{about}，也涉及{more}。" if more else f"关于{about}。"


def _more(named: Sequence[str], keywords: Sequence[str]) -> list[str]:
    """Return keywords that the label does not hold."""
    known = {word.lower() for part in named for word in [part, *part.split()]}
    return [word for word in keywords if word.lower() not in known | NUMBER_WORDS][:MAX_WORDS]
