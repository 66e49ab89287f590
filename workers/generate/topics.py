"""Writes names, descriptions and titles of shelves, topic by topic, each from the words of that topic only."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from llmrec_qdrant.contracts.answers import Language
from llmrec_qdrant.operations import kept_texts
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.topic_texts import evidence_of, place_of
from llmrec_qdrant.operations.topics import name_topic, read_topic
from llmrec_qdrant.query.topic_templates import TOPIC_TEXTS, TopicEvidence, TopicText, language
from llmrec_qdrant.space.points import Point
from llmrec_qdrant.space.shapes import fault

from ..storage.lease import Outcome
from .grounding import grounded, of_topic, single_words
from .names import NAME_PROMPT, name_from
from .run import Run
from .writer import MATERIAL, Task

__all__ = ["name_task", "task_of", "write_about_topics"]

MAX_TITLE = 60
"""Characters in the title of a shelf."""
_ASKED: dict[tuple[TopicText, Language], str] = {
    ("description", "en"): "Say in one short English sentence what this topic of a catalogue is about.",
    ("description", "zh"): "Say in one short Chinese sentence what this topic of a catalogue is about.",
    ("shelf", "en"): "Write an English title of three to eight words for a shelf of items of this topic, for a person who follows it.",
    ("shelf", "zh"): "Write a Chinese title of at most fifteen characters for a shelf of items of this topic, for a person who follows it.",
}  # fmt: skip
_ADDRESS = re.compile(r"\byou|[你您]", re.IGNORECASE)
"""A description speaks to nobody, and a title to somebody by words of the name only: a keyword such as “hate” could be a verb."""
_RULES = (
    f"{MATERIAL} Use only words of its name and keywords and plain connecting words: no numbers, no praise, no negation, nothing that "
    "is not in it."
)


def name_task(keywords: tuple[str, ...]) -> Task:
    """Return the task of naming a topic."""
    return Task(NAME_PROMPT, {"keywords": single_words(keywords)}, lambda answer: name_from(answer, keywords))


def task_of(evidence: TopicEvidence, kind: TopicText, language: Language) -> Task:
    """Return the task of writing a text about a topic."""
    sight = of_topic(evidence if kind == "description" else replace(evidence, keywords=()))

    def check(answer: str) -> str:
        if kind == "description":
            return "" if _ADDRESS.search(answer) else grounded(answer, sight, language)
        end = "." if language == "en" else "。"
        title = grounded(answer.strip().rstrip(".。") + end, sight, language).rstrip(end)
        return title if len(title) <= MAX_TITLE else ""

    return Task(f"{_ASKED[kind, language]} {_RULES}", sight.document, check)


def write_about_topics(run: Run) -> Outcome:
    """Write about all topics: a name where the keywords are the name, and texts in the language of the job or of the topic."""
    return run.over(
        lambda number, after: run.store.topics.scroll(limit=number, offset=after), partial(_write, run), None
    )


def _write(run: Run, point: Point) -> None:
    if fault("topics", point.payload):
        return
    topic = read_topic(point)
    bound = Bound(run.store.space, run.config)
    if topic.label_by == "keywords":
        run.write(
            name_task(tuple(topic.keywords)),
            False,
            lambda name: bool(name) and run.store.run(name_topic(bound, topic, name)),
        )
        (point,) = run.store.topics.retrieve([point.id]) or (point,)
        topic = read_topic(point)
    evidence = evidence_of(topic)
    chosen = language(evidence, run.options.language)
    for kind in TOPIC_TEXTS:
        place = place_of(evidence, kind, chosen, topic.tenant)
        settled: bool = run.store.run(kept_texts.is_settled(bound, place, run.model))
        run.write(
            task_of(evidence, kind, chosen),
            settled,
            lambda text, place=place: run.store.run(kept_texts.keep(bound, place, text, run.model)),  # type: ignore[misc]
        )
