"""Puts evidence together from terms, sources and words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llmrec_qdrant.contracts.evidence import Adjustment, EventEvidence, Evidence, LegEvidence, WordEvidence
from llmrec_qdrant.query.dbsf import Term
from llmrec_qdrant.query.reasons import reasons_of, sentence
from llmrec_qdrant.query.sources import Source, Sources
from llmrec_qdrant.space.layout import TFIDF, Key
from llmrec_qdrant.space.points import Point

__all__ = ["Carried", "Known", "evidence_of", "shared_words"]


@dataclass(frozen=True)
class Known:
    """What evidence takes from the user, or from the text of a search, beside the sources."""

    words: Sequence[str] = ()
    """Strongest first."""
    steering: Mapping[str, float] = field(default_factory=dict)
    """Topic → weight, as the user set it."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Topic → name of the user's interest in it."""
    places: bool = False
    """Whether the score of the words is the item's place among the candidates: the score itself, and even its share of the best
    one, would tell a tenant how common a word is in the items of others."""


TIED_DIGITS = 6
"""Digits in which contributions are compared: those that differ in later ones only stand in the order of their names."""
MIN_EVENT = 1e-3
"""Share of a leg's contribution below which a source is left to the rest."""


@dataclass
class Carried:
    """What sources and words add to the legs of items, in the units of the leg's own score."""

    titles: dict[str, str] = field(default_factory=dict)
    """Point of a source → title."""
    sources: dict[tuple[str, str], list[tuple[Source, float]]] = field(default_factory=dict)
    """Point and leg → sources with what they add."""
    words: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    """Point → words with what they add."""

    def add(self, point: str, leg: str, source: Source, score: float) -> None:
        """Add a source, whose own score for the point is ``score``."""
        if weight := source.weights.get(leg, 0.0):
            self.sources.setdefault((point, leg), []).append((source, weight * score))

    def add_word(self, point: str, word: str, score: float) -> None:
        """Add a word."""
        self.words.setdefault(point, []).append((word, score))


def evidence_of(
    point: Point,
    terms: Sequence[Term],
    behind: float,
    carried: Carried,
    sources: Sources,
    known: Known,
) -> Evidence:
    """Return the evidence of an item; ``behind`` is added to the score of an item behind the first candidates."""
    topics = [str(topic) for topic in point.get(Key.TOPIC_IDS, [])]
    adjustments = _adjustments(terms, behind, topics, known)
    positive = sum(max(term.contribution, 0.0) for term in terms if term.part.kind == "leg")
    positive += sum(max(part.contribution, 0.0) for part in adjustments)
    legs = [_leg(point.id, term, positive, carried, sources, known.places) for term in terms if term.part.kind == "leg"]
    legs.sort(key=lambda leg: (-round(leg.contribution, TIED_DIGITS), leg.leg))
    because = reasons_of(legs, adjustments, shared_words(point, known.words), sources.origin)
    return Evidence(
        score=sum(leg.contribution for leg in legs) + sum(part.contribution for part in adjustments),
        legs=legs,
        adjustments=adjustments,
        interest=next((known.labels[topic] for topic in topics if known.labels.get(topic)), None),
        because=because,
        reasons={"en": sentence(because, "en"), "zh": sentence(because, "zh")},
    )


def shared_words(point: Point, words: Sequence[str]) -> list[str]:
    """Return the words that an item has, in their order."""
    mine = set(point.get(Key.TERMS, []))
    return [word for word in words if word in mine]


def _adjustments(
    terms: Sequence[Term],
    behind: float,
    topics: Sequence[str],
    known: Known,
) -> list[Adjustment]:
    beside: dict[tuple[str, str | None], float] = {}
    for term in terms:
        if term.part.kind != "leg":
            key = term.part.kind, term.part.topic
            beside[key] = beside.get(key, 0.0) + term.contribution
    fused = sum(term.contribution for term in terms)
    for topic, weight in known.steering.items():
        if 0 < weight < 1 and topic in topics:
            beside["lowered", topic] = fused * (weight - 1.0)
    if behind:
        beside["continued", None] = behind
    return [
        Adjustment.parse(
            {"kind": kind, "topic": topic, "label": known.labels.get(topic or "", ""), "contribution": value}
        )
        for (kind, topic), value in beside.items()
    ]


def _leg(point: str, term: Term, positive: float, carried: Carried, sources: Sources, places: bool) -> LegEvidence:
    leg = term.part.leg
    found = carried.sources.get((point, leg), []) if leg in sources.linear else []
    whole = term.score if sources.scaled else sum(value for _, value in found)
    factor = term.contribution / whole if whole else 0.0
    events = sorted(
        (
            EventEvidence(item=source.item, title=carried.titles.get(source.point, ""), contribution=value * factor)
            for source, value in found
            if abs(value) >= MIN_EVENT * abs(whole)
        ),
        key=lambda event: (-round(event.contribution, TIED_DIGITS), str(event.item)),
    )
    per_word = term.contribution / term.score if term.score else 0.0
    words = [WordEvidence(word=word, contribution=value * per_word) for word, value in carried.words.get(point, ())]
    return LegEvidence(
        leg=leg,
        contribution=term.contribution,
        share=max(term.contribution, 0.0) / positive if positive else 0.0,
        score=1 - (term.rank - 1) / term.candidates if places and leg == TFIDF else term.score,
        rank=term.rank,
        candidates=term.candidates,
        times=term.part.times,
        method="linear" if leg in sources.linear else "none",
        events=events,
        rest=term.contribution - sum(event.contribution for event in events),
        words=sorted(words, key=lambda word: (-round(word.contribution, TIED_DIGITS), word.word))
        if leg == TFIDF
        else [],
    )
