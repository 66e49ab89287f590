"""Writes portraits and blurbs, user by user, each text from its own evidence only."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from llmrec_qdrant.contracts.answers import POPULAR, Language
from llmrec_qdrant.errors import NotFound
from llmrec_qdrant.operations import kept_texts, recommend, words
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.query.options import ListOptions
from llmrec_qdrant.query.templates import BlurbEvidence, Evidence, PortraitEvidence, language_of
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point

from ..storage.lease import Outcome
from .grounding import grounded, shown
from .run import Run
from .writer import MATERIAL, Task

__all__ = ["task_of", "write_about_users"]

_RULES = (
    f"{MATERIAL} Use only words of its names and keywords and plain connecting words: no numbers, no praise, no negation, nothing "
    "that is not in it. Write items as their handles, such as {1}, and only behind the interest that they belong to, and only "
    "with the way that they stand at. Address the person as “you”."
)
_ASKED = {
    ("portrait", "en"): "Say in two short English sentences what this person cares about.",
    ("portrait", "zh"): "Say in two short Chinese sentences what this person cares about (用“你”称呼).",
    ("blurb", "en"): "Say in one short English sentence why the item {0} is for this person.",
    ("blurb", "zh"): "Say in one short Chinese sentence why the item {0} is for this person (用“你”称呼).",
}


def task_of(evidence: Evidence, language: Language) -> Task:
    """Return what the model is asked for."""
    kind = "portrait" if isinstance(evidence, PortraitEvidence) else "blurb"
    sight = shown(evidence)
    return Task(f"{_ASKED[kind, language]} {_RULES}", sight.document, lambda answer: grounded(answer, sight, language))


def write_about_users(run: Run) -> Outcome:
    """Write about all users, or the first ``options.users``."""
    keys = [Key.USER_ID, Key.TENANT]
    return run.over(
        lambda number, after: run.store.users.scroll(limit=number, offset=after, payload=keys),
        partial(_write, run),
        run.options.users,
    )


def _write(run: Run, point: Point) -> None:
    bound = Bound(run.store.space, run.config, point.get(Key.TENANT) or None)
    user = str(point.payload[Key.USER_ID])
    for evidence, language in _texts(run, bound, user):
        place = words.place_of(bound, user, evidence, language)
        settled: bool = run.store.run(kept_texts.is_settled(bound, place, run.model))
        run.write(
            task_of(evidence, language),
            settled,
            lambda text, place=place: run.store.run(kept_texts.keep(bound, place, text, run.model)),  # type: ignore[misc]
        )


def _texts(run: Run, bound: Bound, user: str) -> Iterator[tuple[Evidence, Language]]:
    portrait: PortraitEvidence = run.store.run(words.portrait_evidence(bound, user))
    if not portrait.strands:
        return
    titles = [title for strand in portrait.strands for title in strand.titles]
    yield portrait, run.options.language or language_of(titles)
    if not run.options.blurbs:
        return
    for item in run.store.run(recommend.recommend(bound, user, ListOptions(run.options.blurbs), True)):
        if item.reason.startswith(POPULAR):
            return
        try:
            evidence: BlurbEvidence = run.store.run(words.blurb_evidence(bound, user, item.id))
        except NotFound:  # deleted meanwhile
            continue
        if evidence.strand or evidence.ways:
            yield evidence, run.options.language or language_of([evidence.title])
