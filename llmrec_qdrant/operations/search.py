"""TODO: llmrec_qdrant.operations.search."""

from __future__ import annotations

from llmrec_qdrant.contracts.answers import Recommendation
from llmrec_qdrant.errors import InvalidInput, WorkPending, show
from llmrec_qdrant.operations import texts
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.lists import Ask, _checked, _filter, _Plan, _plan, _run, _weights
from llmrec_qdrant.operations.personal import _look_up, _User
from llmrec_qdrant.operations.steps import Sleep, Steps, call
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import DENSE, TFIDF, Key

__all__ = ["search"]


PATIENCE = 15.0
"""Seconds a search waits for a worker to encode its text."""


def search(bound: Bound, text: str, user: str | None, ask: Ask) -> Steps[list[Recommendation]]:
    """Items for a text; with a user, those among them that suit the user come first.

    The text is stored and encoded by a worker, once. Raises :class:`WorkPending` if none answers.
    """
    _checked(ask)
    given: object = text
    text = given.strip() if isinstance(given, str) else ""
    if not 1 <= len(text) <= 2_000:
        raise InvalidInput(f"a search text has 1 to 2,000 characters, not {show(given)}")
    point, legs_found = yield from _encoded(bound, text)
    filter = _filter(bound, ask)
    legs = [LegQuery(leg, point, bound.space.texts) for leg in (DENSE, TFIDF) if leg in legs_found]
    plan = _plan(bound, ask, legs, filter)
    if plan is None:
        return []
    if user is not None:
        who = yield from _look_up(bound, user)
        plan = _personalised(bound, ask, plan, who)
    return (yield from _run(bound, ask, plan))


def _personalised(bound: Bound, ask: Ask, plan: _Plan, who: _User) -> _Plan:
    """The same candidates, ordered by the text and by the user: the user's legs see only what the text found."""
    found = plan.prefetches
    weights = _weights(bound, ask)
    taste = [one.prefetch(plan.filter, plan.depth, found) for one in who.queries(bound) if weights.get(one.leg, 0) > 0]
    return _Plan(plan.request.model_copy(update={"prefetch": found * 2 + taste}), plan.legs, plan.filter)


def _encoded(bound: Bound, text: str) -> Steps[tuple[str, list[str]]]:
    """Point id and legs of a query text, as soon as a worker has encoded it."""
    point = point_id("query", text, bound.tenant)
    waited, pause, asked = 0.0, 0.02, False
    while True:
        found = yield from call(
            "retrieve", collection_name=bound.space.texts, ids=[point], with_payload=[Key.STALE, Key.LEGS]
        )
        payload = (found[0].payload or {}) if found else {}
        if found and not payload.get(Key.STALE):
            return point, payload.get(Key.LEGS) or []
        if not found:
            yield from texts.query_text(bound, text)
        if not asked:
            asked = yield from texts.request_text(bound, point)
            if not asked:
                break
            continue
        if waited >= PATIENCE:
            break
        yield Sleep(pause)
        waited, pause = waited + pause, min(pause * 1.5, 0.5)
    raise WorkPending(
        f"no worker has encoded the search text within {waited:.0f} s: start one with "
        "`celery -A workers.app worker -Q refresh`, or search again later (the text is stored)"
    )
