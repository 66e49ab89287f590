"""Searches items by a text."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from llmrec_qdrant.contracts.answers import Recommendation
from llmrec_qdrant.contracts.checks import external_id
from llmrec_qdrant.errors import InvalidInput, WorkPending, show
from llmrec_qdrant.operations import calls, texts
from llmrec_qdrant.operations.absent import say_absent
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.evidence import run_list
from llmrec_qdrant.operations.plan import Plan, Taste, item_filter, leg_weights, plan_list
from llmrec_qdrant.operations.remember import remembered
from llmrec_qdrant.operations.steps import Sleep, Steps
from llmrec_qdrant.operations.users import StoredUser, read_user
from llmrec_qdrant.query import requests
from llmrec_qdrant.query.options import ListOptions
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.query.sources import Sources
from llmrec_qdrant.space.layout import DENSE, TFIDF, Key
from llmrec_qdrant.space.points import Point

__all__ = ["search"]

TEXT_LEGS = (DENSE, TFIDF)
"""Legs of which a text has vectors."""
MAX_QUERY = 2_000
"""Characters in a search text."""
MAX_WAIT_FOR_TEXT = 15.0
"""Seconds that a search waits for a worker to encode its text."""
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
"""Seconds between two checks during the wait."""


@say_absent
def search(bound: Bound, text: str, user: str | None, options: ListOptions) -> Steps[list[Recommendation]]:
    """Return items for a text; with ``user``, ranked for that user.

    The text is stored, and encoded by a worker once. Raises :class:`WorkPending` if no worker encodes it in time,
    :class:`InvalidInput` for an empty or too long text, or weights that leave out all legs of a text.
    """
    value: object = text
    text = value.strip() if isinstance(value, str) else ""
    if not 1 <= len(text) <= MAX_QUERY:
        raise InvalidInput(f"a search text must have 1 to {MAX_QUERY:,} characters, not {show(value)}")
    if re.search("[\ud800-\udfff]", text):
        raise InvalidInput(f"a search text must be text that UTF-8 can encode, not {show(text)}")
    weights = leg_weights(bound, options)
    if not any(weights.get(leg, 0) > 0 for leg in TEXT_LEGS):
        raise InvalidInput(
            f"a search compares by the legs {' and '.join(TEXT_LEGS)}: give one of them a weight, not {show(dict(weights))}"
        )
    user = None if user is None else external_id(user)
    return (yield from remembered(bound.memory, partial(_search, bound, text, user, options)))


def _search(bound: Bound, text: str, user: str | None, options: ListOptions) -> Steps[list[Recommendation]]:
    encoded = yield from _encoded(bound, text, user)
    legs = encoded.get(Key.LEGS, [])
    queries = [LegQuery(leg, encoded.id, bound.space.texts) for leg in TEXT_LEGS if leg in legs]
    plan = plan_list(bound, options, queries, item_filter(bound, options))
    if plan is None:
        return []
    if user is not None:
        stored = yield from read_user(bound, user, [Key.LEGS])
        plan = _personal(bound, options, plan, stored)
    whole = Sources(linear=frozenset(TEXT_LEGS), origin="search")  # the text itself is all that its legs are made of
    return (yield from run_list(bound, options, plan, Taste(encoded.get(Key.TERMS, [])), whole))


def _personal(bound: Bound, options: ListOptions, plan: Plan, user: StoredUser) -> Plan:
    """Let the user's legs order what matches the text about equally well; they add no candidates of their own."""
    weights = leg_weights(bound, options)
    taste = [query for query in user.queries(bound) if weights.get(query.leg, 0) > 0]
    words = next((query for query in plan.legs if query.leg == TFIDF), None)
    return replace(plan, at=lambda depth: requests.personal(plan.at(depth), words, taste)) if taste else plan


def _encoded(bound: Bound, text: str, user: str | None) -> Steps[Point]:
    """Return a query text with its legs and words, as soon as a worker has encoded it."""
    point, keys = bound.query_point(text, user), [Key.STALE, Key.LEGS, Key.TERMS, Key.SEARCHED_AT]
    waited, pause, requested = 0.0, FIRST_PAUSE, False
    while True:
        first = not requested and not waited
        stored = yield from calls.retrieve(bound.space.texts, [point], keys, remember=first)
        if stored and not stored[0].get(Key.STALE):
            yield from texts.renew_query(bound, stored[0])
            return stored[0]
        if not stored:
            yield from texts.store_query(bound, point, text, user)
        if not requested:
            requested = yield from texts.request_text(bound, point)
            if not requested:
                break
            continue
        if waited >= MAX_WAIT_FOR_TEXT:
            break
        yield Sleep(pause)
        waited, pause = waited + pause, min(pause * 1.5, LONGEST_PAUSE)
    passed = f"after {waited:.0f} s no worker has" if requested else "no worker was asked, and none has"
    raise WorkPending(
        f"{passed} encoded the search text: start one with `llmrec worker`, or search again later (the text is stored)"
    )
