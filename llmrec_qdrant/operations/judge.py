"""Has a language model put a list in order, within a deadline; whatever fails, the list stays as it is."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from llmrec_qdrant.contracts.answers import Recommendation, Rerank, Seen
from llmrec_qdrant.contracts.checks import external_id
from llmrec_qdrant.errors import InvalidInput, show
from llmrec_qdrant.operations import calls, endpoint
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.recommend import recommend
from llmrec_qdrant.operations.steps import Ask, Steps
from llmrec_qdrant.operations.words import portrait_evidence
from llmrec_qdrant.query import judging
from llmrec_qdrant.query.options import ListOptions
from llmrec_qdrant.settings import Settings
from llmrec_qdrant.space.layout import Key

__all__ = ["RERANK_SECONDS", "recommend_reranked"]

log = logging.getLogger("llmrec")

MAX_JUDGED = 20
"""Items of a list that are put in order; those behind them stay where they are."""
RERANK_SECONDS = 3.0
"""Seconds from the DNS lookup to the last byte of the answer; after them the list stays as it is."""


def recommend_reranked(
    bound: Bound, user: str, options: ListOptions, exclude_seen: Seen, rerank: Rerank
) -> Steps[list[Recommendation]]:
    """Return the list of :func:`recommend`, with its first items in the order of a language model.

    Raises :class:`InvalidInput` for any other ``rerank``, or if no model is set.
    """
    value: object = rerank
    if value is not None and not (isinstance(value, str) and value == "llm"):
        raise InvalidInput(f"rerank must be 'llm' or None, not {show(value)}")
    settings = Settings.current()
    if rerank and not endpoint.is_set(settings):
        raise InvalidInput(f"rerank='llm': {endpoint.what_is_missing(settings)}")
    listed = yield from recommend(bound, user, options, exclude_seen)
    if not rerank or len(listed) < 2:
        return listed
    first, behind = listed[:MAX_JUDGED], listed[MAX_JUDGED:]
    return [*(yield from _judged(bound, external_id(user), settings, first)), *behind]


def _judged(
    bound: Bound, user: str, settings: Settings, items: Sequence[Recommendation]
) -> Steps[Sequence[Recommendation]]:
    interests = yield from portrait_evidence(bound, user)
    if not interests.strands:
        return items
    points = yield from calls.retrieve(
        bound.space.items, bound.item_points(item.id for item in items), [Key.ITEM_ID, Key.TERMS]
    )
    terms = {point.payload[Key.ITEM_ID]: point.get(Key.TERMS, []) for point in points}
    words = [[*(part for topic in item.topics for part in topic.split()), *terms.get(item.id, ())] for item in items]
    answer: str = yield Ask(partial(_asked, settings, judging.document(interests, words)))
    numbers = judging.order(answer, len(items))
    return items if numbers is None else [items[number] for number in numbers]


def _asked(settings: Settings, shown: object) -> str:
    """Return the answer; "" if there is none in time."""
    try:
        return endpoint.ask(settings, judging.SYSTEM, shown, RERANK_SECONDS)  # type: ignore[arg-type]
    except endpoint.FAILURES as error:
        where, why = endpoint.address(settings), type(error).__name__
        log.warning("the language model at %s gave no order (%s); the list stays as it is", where, why)
        return ""
