"""Texts about topics: a written text if its evidence still holds, else the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llmrec_qdrant.contracts.answers import Interest, Language, Topic
from llmrec_qdrant.operations import kept_texts
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.kept_texts import Place
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.topics import list_topics
from llmrec_qdrant.operations.words import checked_language
from llmrec_qdrant.query.topic_templates import TopicEvidence, TopicText, digest_of, language, template
from llmrec_qdrant.space.ids import point_id

__all__ = ["evidence_of", "place_of", "shelf_titles", "topics"]

MAX_KEYWORDS = 10
"""Keywords of a topic in the evidence."""


def evidence_of(about: Topic | Interest) -> TopicEvidence:
    """Return what a text about a topic may say."""
    topic = about.id if isinstance(about, Topic) else about.topic
    return TopicEvidence(topic, about.label, tuple(about.keywords[:MAX_KEYWORDS]))


def place_of(evidence: TopicEvidence, kind: TopicText, language: Language, tenant: str) -> Place:
    """Return where a written text is kept; ``tenant`` owns the topic."""
    point = point_id("words", f"\x1ftopic\x1f{evidence.topic}\x1f{kind}\x1f{language}", tenant or None)
    return Place(point, digest_of(evidence, kind, language), owner=tenant)


def topics(bound: Bound, chosen: Language | None) -> Steps[list[Topic]]:
    """Return the topics with their descriptions, in a language or in that of their words."""
    chosen = checked_language(chosen)
    known = yield from list_topics(bound)
    about = {topic.id: (evidence_of(topic), topic.tenant) for topic in known}
    said = yield from _said(bound, about, "description", chosen)
    return [topic.model_copy(update={"description": said[topic.id]}) for topic in known]


def shelf_titles(bound: Bound, interests: Sequence[Interest], chosen: Language | None) -> Steps[dict[str, str]]:
    """Return topic → title of a shelf for it."""
    about = {interest.topic: (evidence_of(interest), bound.owner) for interest in interests}
    return (yield from _said(bound, about, "shelf", checked_language(chosen)))


def _said(
    bound: Bound, about: Mapping[str, tuple[TopicEvidence, str]], kind: TopicText, chosen: Language | None
) -> Steps[dict[str, str]]:
    languages = {topic: language(evidence, chosen) for topic, (evidence, _) in about.items()}
    places = {topic: place_of(evidence, kind, languages[topic], tenant) for topic, (evidence, tenant) in about.items()}
    written = yield from kept_texts.read(bound, list(places.values()))
    return {
        topic: written.get(places[topic].point) or template(evidence, kind, languages[topic])
        for topic, (evidence, _) in about.items()
    }
