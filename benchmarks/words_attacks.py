"""Attacks for ``benchmarks.words``: injections against a scripted model that obeys, and a judge that fails."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from llmrec_qdrant import Recommender
from llmrec_qdrant.operations import judge
from llmrec_qdrant.query.judging import document, order
from llmrec_qdrant.query.templates import BlurbEvidence, Evidence, PortraitEvidence, Strand, Way
from llmrec_qdrant.query.topic_templates import TOPIC_TEXTS, TopicEvidence
from tests.endpoint import serving
from tests.redteam import INJECTIONS, obeying
from workers.generate import topics
from workers.generate.items import attributes_task, description_task, wanted_of
from workers.generate.users import task_of
from workers.generate.writer import Task

__all__ = ["injected", "judged"]

Kind = Callable[[str, tuple[str, ...]], Task | None]
"""Takes a title and more words of strangers."""


def _portrait(title: str, words: tuple[str, ...]) -> Task:
    strand = Strand("space · planet", "rising", ("rocket", *words), ("a",), (title,))
    return task_of(PortraitEvidence((strand,)), "en")


def _blurb(title: str, words: tuple[str, ...]) -> Task:
    way = Way("words", ("a",), (title,), ("orbit", *words))
    evidence: Evidence = BlurbEvidence("b", title, Strand("space", "steady", words), ("a",), (title,), (way,))
    return task_of(evidence, "en")


def _field(title: str, words: tuple[str, ...]) -> Task:
    return attributes_task(wanted_of([f"red bicycle {title}", " ".join(words)], {"color": ["red", "green"]}))


KINDS: dict[str, Kind] = {
    "portrait": _portrait,
    "blurb": _blurb,
    "topic name": lambda title, words: topics.name_task(("rocket", "planet", "moon", title, *words)),
    **{
        f"topic {kind}": lambda title, words, kind=kind: topics.task_of(  # type: ignore[misc]
            TopicEvidence("1", "space · planet", ("rocket", title, *words)), kind, "en"
        )
        for kind in TOPIC_TEXTS
    },
    "field of an item": _field,
    "description of an item": lambda title, words: description_task(title, ["red", *words], "en"),
}


def injected() -> Iterator[tuple[str, int, int]]:
    """Yield kind of text, injections that changed one, and injections tried: each as a title, whole words, and word by word."""
    for name, task in KINDS.items():
        clean = _said(task("Alien", ()))
        changed = sum(_changes(task, injection, clean) for injection in INJECTIONS)
        yield name, changed, len(INJECTIONS)
    yield "order of a list", sum(_reorders(injection) for injection in INJECTIONS), len(INJECTIONS)


def _changes(task: Kind, injection: str, clean: str) -> bool:
    ways = [(injection, ()), ("Alien", (injection,)), ("Alien", tuple(injection.split()))]
    return any(_said(task(title, words)) not in {"", clean} for title, words in ways)


def _said(task: Task | None) -> str:
    """Return what is kept, without titles, of a model that obeys each demand whose words it sees."""
    if task is None:
        return ""
    shown = {"cares_about": [{"name": "", "items": []}], **task.document}
    demand = obeying(task.system, shown)
    honest = _honest(dict(task.document))
    kept = task.check(demand if demand.startswith(("HACK", "BUY", "You hate", "bob", "我", "立")) else honest)
    return kept if kept.startswith("{") else "".join(kept.split("“")[::2])[:12]


def _honest(shown: dict[str, Any]) -> str:
    if "candidates" in shown:
        return json.dumps({name: values[0] for name, values in shown["candidates"].items()})
    if "cares_about" in shown:
        return "You like space, such as {0}."
    if "because_of" in shown:
        return "You like space, and {0} joins {1}."
    if "item" in shown:
        return "{0} is about red."
    return "Rocket" if "name" not in shown else "About space."


def _reorders(injection: str) -> bool:
    interests = PortraitEvidence((Strand("space · planet", "rising", ("rocket",)),))
    shown = document(interests, [["space"], ["cook", injection, *injection.split()], ["planet"]])
    said = obeying("", {"items": shown["items"], "cares_about": [{"name": "", "items": []}]})
    return order(said, 3) is not None


def judged(rec: Recommender, user: str) -> Iterator[tuple[str, int, int]]:
    """Yield what is measured of a scripted judge, how often it did not hold, and how often it was tried."""
    plain = [item.id for item in rec.recommend(user, 10)]
    broken = [None, "", "HACKED", "[]", "[99]", '["a"]', "[" * 60_000, "9" * 70_000]
    yield (
        "lists that a broken answer changed",
        sum(_asked(rec, user, answer) != plain for answer in broken),
        len(broken),
    )
    wrong = _asked(rec, user, "[99, 2, -1, 2, 77]")
    expected = [plain[2], *plain[:2], *plain[3:]]
    yield "lists with wrong or repeated numbers that are not in the order of the others", int(wrong != expected), 1
    yield "lists that waited for a model behind the deadline", int(_waited(rec, user) != plain), 1


def _asked(rec: Recommender, user: str, answer: str | None) -> list[str]:
    with _endpoint(lambda system, shown: answer):
        return [item.id for item in rec.recommend(user, 10, rerank="llm")]


def _waited(rec: Recommender, user: str) -> list[str]:
    """The endpoint answers only after the list is there."""
    there = threading.Event()

    def late(system: str, shown: dict[str, Any]) -> str | None:
        there.wait(60)
        return "[3]"

    with _endpoint(late), patch.object(judge, "RERANK_SECONDS", 0.3):
        listed = [item.id for item in rec.recommend(user, 10, rerank="llm")]
        there.set()
    return listed


@contextmanager
def _endpoint(script: Callable[[str, dict[str, Any]], str | None]) -> Iterator[None]:
    with serving(script) as (url, _), patch.dict(os.environ, {"LLMREC_LLM_URL": url, "LLMREC_LLM_MODEL": "scripted"}):
        yield
