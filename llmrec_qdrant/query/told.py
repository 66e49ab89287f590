"""Puts evidence together from terms, sources and words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llmrec_qdrant.contracts.evidence import Adjustment, EventEvidence, Evidence, LegEvidence, WordEvidence
from llmrec_qdrant.query.dbsf import Term
from llmrec_qdrant.query.reasons import sentence
from llmrec_qdrant.query.sources import Source, Sources
from llmrec_qdrant.space.layout import TFIDF, Key
from llmrec_qdrant.space.points import Point

__all__ = ["Carried", "evidence_of"]

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
        for name, weight in source.weights.items():
            if name == leg and weight:
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
    steering: Mapping[str, float],
    labels: Mapping[str, str],
) -> Evidence:
    """Return the evidence of an item; ``behind`` is added to the score of an item behind the first candidates."""
    topics = [str(topic) for topic in point.get(Key.TOPIC_IDS, [])]
    adjustments = _adjustments(terms, behind, topics, steering, labels)
    positive = sum(max(term.contribution, 0.0) for term in terms if term.part.kind == "leg")
    positive += sum(max(part.contribution, 0.0) for part in adjustments)
    legs = [_leg(point.id, term, positive, carried, sources) for term in terms if term.part.kind == "leg"]
    legs.sort(key=lambda leg: -leg.contribution)
    return Evidence(
        score=sum(leg.contribution for leg in legs) + sum(part.contribution for part in adjustments),
        legs=legs,
        adjustments=adjustments,
        interest=next((labels[topic] for topic in topics if labels.get(topic)), None),
        reasons={"en": sentence(legs, adjustments, "en"), "zh": sentence(legs, adjustments, "zh")},
    )


def _adjustments(
    terms: Sequence[Term],
    behind: float,
    topics: Sequence[str],
    steering: Mapping[str, float],
    labels: Mapping[str, str],
) -> list[Adjustment]:
    beside: dict[tuple[str, str | None], float] = {}
    for term in terms:
        if term.part.kind != "leg":
            key = term.part.kind, term.part.topic
            beside[key] = beside.get(key, 0.0) + term.contribution
    fused = sum(term.contribution for term in terms)
    for topic, weight in steering.items():
        if 0 < weight < 1 and topic in topics:
            beside["lowered", topic] = fused * (weight - 1.0)
    if behind:
        beside["continued", None] = behind
    return [
        Adjustment.parse({"kind": kind, "topic": topic, "label": labels.get(topic or "", ""), "contribution": value})
        for (kind, topic), value in beside.items()
    ]


def _leg(point: str, term: Term, positive: float, carried: Carried, sources: Sources) -> LegEvidence:
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
        key=lambda event: -event.contribution,
    )
    per_word = term.contribution / term.score if term.score else 0.0
    words = [WordEvidence(word=word, contribution=value * per_word) for word, value in carried.words.get(point, ())]
    return LegEvidence(
        leg=leg,
        contribution=term.contribution,
        share=max(term.contribution, 0.0) / positive if positive else 0.0,
        score=term.score,
        rank=term.rank,
        candidates=term.candidates,
        times=term.part.times,
        method="linear" if leg in sources.linear else "none",
        events=events,
        rest=term.contribution - sum(event.contribution for event in events),
        words=sorted(words, key=lambda word: -word.contribution) if leg == TFIDF else [],
    )
