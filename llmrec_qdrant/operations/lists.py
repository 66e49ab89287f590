"""Operations that read: recommend, similar, search. Each is one query; some look the user up first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from qdrant_client import models

from llmrec_qdrant.contracts.answers import Recommendation
from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.errors import InvalidInput, show
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.steps import Steps, call
from llmrec_qdrant.query import requests, rerank, results
from llmrec_qdrant.query import weights as query_weights
from llmrec_qdrant.query.filters import FilterLike, parse_filter
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.query.rerank import POOL, calibrated
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import COLLAB, DENSE, TFIDF, Key


@dataclass(frozen=True)
class Ask:
    """The options that lists of items share."""

    limit: int = 10
    filter: FilterLike | None = None
    exclude: Sequence[str] = ()
    diversity: float = 0.0
    weights: Mapping[Leg, float] | None = None
    explain: bool = False
    interests: Literal["auto"] | None = None


def _weights(bound: Bound, ask: Ask) -> Mapping[Leg, float]:
    if ask.weights is None:
        return bound.config.weights
    query_weights.multiplicities(ask.weights)  # refuses what cannot be read
    return ask.weights


def _checked(ask: Ask) -> Ask:
    requests.check_limit(ask.limit)
    diversity: object = ask.diversity
    if not isinstance(diversity, int | float) or not 0 <= diversity <= 1:
        raise InvalidInput(f"diversity lies between 0 and 1, not {show(diversity)}")
    exclude: object = ask.exclude
    if isinstance(exclude, str) or not isinstance(exclude, Iterable):
        raise InvalidInput(f"exclude is a list of item ids, not {show(ask.exclude)}")
    interests: object = ask.interests
    if interests not in {None, "auto"}:
        raise InvalidInput(f"interests is 'auto' or left out, not {show(interests)}")
    return ask


def _filter(bound: Bound, ask: Ask, excluded: Sequence[str] = ()) -> models.Filter | None:
    out = [point_id("item", one, bound.tenant) for one in dict.fromkeys((*ask.exclude, *excluded))]
    return requests.combined(bound.tenant, parse_filter(ask.filter, bound.config), out)


@dataclass(frozen=True)
class _Plan:
    """One fused request and the legs in it."""

    request: models.QueryRequest
    legs: list[LegQuery] = field(default_factory=list)
    filter: models.Filter | None = None
    reason: str = ""

    @property
    def prefetches(self) -> list[models.Prefetch]:
        """What the request fuses."""
        given = self.request.prefetch
        return list(given) if isinstance(given, list) else []

    @property
    def depth(self) -> int:
        """Candidates per leg."""
        return max((one.limit or 0 for one in self.prefetches), default=0)


def _plan(bound: Bound, ask: Ask, legs: list[LegQuery], filter: models.Filter | None) -> _Plan | None:
    weights = _weights(bound, ask)
    used = [one for one in legs if weights.get(one.leg, 0) > 0]
    if not used:
        return None
    wider = POOL if ask.interests else rerank.MMR_POOL if ask.diversity else 1
    request = requests.fused(
        used,
        weights=weights,
        filter=filter,
        limit=max(ask.limit, min(ask.limit * wider, requests.MAX_LIMIT)),
        depth=bound.config.prefetch,
        with_vector=ask.diversity > 0,
    )
    return _Plan(request, used, filter)


def _calibrated(
    points: Sequence[models.ScoredPoint], interests: Mapping[str, float], limit: int
) -> list[models.ScoredPoint]:
    topics = [next(iter((point.payload or {}).get(Key.TOPIC_IDS) or []), None) for point in points]
    scores = sorted((point.score for point in points), reverse=True)  # a diversified list counts by its places
    return [points[place] for place in calibrated(scores, topics, interests, limit)]


def _run(
    bound: Bound, ask: Ask, plan: _Plan, terms: Sequence[str] = (), interests: Mapping[str, float] | None = None
) -> Steps[list[Recommendation]]:
    """Send a plan; where asked to explain, the legs' own lists come back in the same round trip."""
    alone = [requests.alone(one, filter=plan.filter, limit=plan.depth) for one in plan.legs] if ask.explain else []
    answers = yield from call("query_batch_points", collection_name=bound.space.items, requests=[plan.request, *alone])
    points = answers[0].points
    if ask.diversity:
        points = rerank.diversify(points, ask.diversity, len(points) if ask.interests else ask.limit)
    if ask.interests:
        points = _calibrated(points, interests or {}, ask.limit)
    listed = results.recommendations(points, plan.reason)
    if not ask.explain or not plan.legs:
        return listed
    per_leg = {one.leg: answer.points for one, answer in zip(plan.legs, answers[1:], strict=True)}
    return [
        one.model_copy(
            update={
                "legs": (scores := results.leg_scores(per_leg, str(point.id))),
                "reason": _reason(scores, point.payload or {}, terms),
            }
        )
        for one, point in zip(listed, points, strict=True)
    ]


def _reason(scores: Mapping[str, float], payload: Mapping[str, Any], terms: Sequence[str]) -> str:
    """Which legs proposed an item, in words."""
    shared = [term for term in terms if term in set(payload.get(Key.TERMS) or [])][:4]
    reasons = {
        TFIDF: f"shares words: {', '.join(shared)}" if shared else "",
        COLLAB: "chosen next by people with this history",
        DENSE: "close in meaning",
    }
    return (
        "; ".join(reasons[leg] for leg in (TFIDF, COLLAB, DENSE) if scores.get(leg, 0) > 0 and reasons[leg])
        or "shares words"
    )
