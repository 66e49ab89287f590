"""Operations that read: recommend, similar, search. Each is one query; some look the user up first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from qdrant_client import models

from llmrec_qdrant import query, writes
from llmrec_qdrant.admin import Bound
from llmrec_qdrant.calibration import POOL, calibrated
from llmrec_qdrant.contracts import LEGS, Leg, Recommendation, Seen, SimilarUser, show
from llmrec_qdrant.effects import Sleep, Steps, call
from llmrec_qdrant.errors import InvalidInput, NotFound, WorkPending
from llmrec_qdrant.filters import FilterLike, all_of, parse_filter
from llmrec_qdrant.ids import point_id, sparse_index
from llmrec_qdrant.layout import COLLAB, DENSE, TFIDF, Key
from llmrec_qdrant.query import LegQuery

__all__ = ["recommend", "recommend_from", "request", "search", "similar_items", "similar_users", "top"]

PATIENCE = 15.0
"""Seconds a search waits for a worker to encode its text."""
ORDERED = frozenset({"integer", "float", "datetime"})
"""Kinds of fields that have an order."""
BOOSTED = 0.05
"""Share that a boosted topic has, before the boost, with a user who has no events about it."""


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


@dataclass(frozen=True)
class _User:
    """What the query needs to know of a user."""

    point: str
    legs: tuple[Leg, ...] = ()
    seen: tuple[str, ...] = ()
    last: str | None = None
    """What they took last."""
    terms: tuple[str, ...] = ()
    known: bool = False
    interests: Mapping[str, float] = field(default_factory=dict)
    steering: Mapping[str, float] = field(default_factory=dict)

    @property
    def wanted(self) -> dict[str, float]:
        """Share per topic, as the events and the user say."""
        boosted = {topic: BOOSTED for topic, weight in self.steering.items() if weight > 1}
        shares = {**boosted, **self.interests}
        return {topic: share * self.steering.get(topic, 1.0) for topic, share in shares.items()}

    def queries(self, bound: Bound) -> list[LegQuery]:
        return [LegQuery(leg, self.point, bound.space.users) for leg in self.legs]


def _look_up(bound: Bound, user: str) -> Steps[_User]:
    point = point_id("user", user, bound.tenant)
    wanted = [Key.LEGS, Key.SEEN, Key.LAST, Key.TERMS, Key.INTERESTS, Key.STEER]
    found = yield from call("retrieve", collection_name=bound.space.users, ids=[point], with_payload=wanted)
    if not found:
        return _User(point)
    payload = found[0].payload or {}
    return _User(
        point,
        legs=tuple(leg for leg in LEGS if leg in (payload.get(Key.LEGS) or [])),
        seen=tuple(payload.get(Key.SEEN) or []),
        last=payload.get(Key.LAST),
        terms=tuple(payload.get(Key.TERMS) or []),
        known=True,
        interests={one["topic"]: float(one["weight"]) for one in payload.get(Key.INTERESTS) or []},
        steering=payload.get(Key.STEER) or {},
    )


def _weights(bound: Bound, ask: Ask) -> Mapping[Leg, float]:
    if ask.weights is None:
        return bound.config.weights
    query.multiplicities(ask.weights)  # refuses what cannot be read
    return ask.weights


def _checked(ask: Ask) -> Ask:
    query.check_limit(ask.limit)
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
    return query.combined(bound.tenant, parse_filter(ask.filter, bound.config), out)


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
    wider = POOL if ask.interests else query.MMR_POOL if ask.diversity else 1
    request = query.fused(
        used,
        weights=weights,
        filter=filter,
        limit=max(ask.limit, min(ask.limit * wider, query.MAX_LIMIT)),
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
    alone = [query.alone(one, filter=plan.filter, limit=plan.depth) for one in plan.legs] if ask.explain else []
    answers = yield from call("query_batch_points", collection_name=bound.space.items, requests=[plan.request, *alone])
    points = answers[0].points
    if ask.diversity:
        points = query.diversify(points, ask.diversity, len(points) if ask.interests else ask.limit)
    if ask.interests:
        points = _calibrated(points, interests or {}, ask.limit)
    listed = query.recommendations(points, plan.reason)
    if not ask.explain or not plan.legs:
        return listed
    per_leg = {one.leg: answer.points for one, answer in zip(plan.legs, answers[1:], strict=True)}
    return [
        one.model_copy(
            update={
                "legs": (scores := query.leg_scores(per_leg, str(point.id))),
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


def _popular(bound: Bound, ask: Ask, filter: models.Filter | None, why: str) -> _Plan:
    return _Plan(query.top(filter, ask.limit), filter=filter, reason=f"popular: {why}")


def _personal(bound: Bound, ask: Ask, user: str, exclude_seen: Seen) -> Steps[tuple[_Plan, _User]]:
    query.check_limit(ask.limit)
    query.check_seen(exclude_seen)
    who = yield from _look_up(bound, user)
    filter = all_of(_filter(bound, ask, query.left_out(who.seen, who.last, exclude_seen)), query.unmuted(who.steering))
    plan = _plan(bound, ask, who.queries(bound), filter)
    if plan is not None and any(weight not in {0, 1} for weight in who.steering.values()):
        depth = max(bound.config.prefetch, ask.limit)
        plan = replace(plan, request=query.steered(plan.request, plan.legs, who.steering, filter, depth))
    if plan is None:
        if not who.known:
            why = f"there are no events of {user!r} yet"
        elif not who.legs:
            why = f"the events of {user!r} are not encoded yet"
        else:
            why = f"{user!r} has no vector for the legs that were asked"
        plan = _popular(bound, ask, filter, why)
    return plan, who


def recommend(bound: Bound, user: str, ask: Ask, exclude_seen: Seen) -> Steps[list[Recommendation]]:
    """Items for a user; popular ones, marked so in ``reason``, for a user without vectors."""
    plan, who = yield from _personal(bound, _checked(ask), user, exclude_seen)
    if not plan.reason:
        listed = yield from _run(bound, ask, plan, who.terms, who.wanted)
        if listed:
            return listed
        plan = _popular(bound, ask, plan.filter, f"nothing suits what is known of {user!r}")
    answers = yield from call("query_batch_points", collection_name=bound.space.items, requests=[plan.request])
    return _scored_by_popularity(answers[0].points, plan.reason)


def _scored_by_popularity(points: Sequence[models.ScoredPoint], reason: str) -> list[Recommendation]:
    return [
        one.model_copy(update={"score": float((point.payload or {}).get(Key.POPULARITY) or 0.0)})
        for one, point in zip(query.recommendations(points, reason), points, strict=True)
    ]


def top(bound: Bound, by: str, ask: Ask) -> Steps[list[Recommendation]]:
    """Items by a field, highest or latest first: the popular ones, or what is new."""
    _checked(ask)
    fields = [Key.POPULARITY, *(name for name, kind in bound.config.fields.items() if kind in ORDERED)]
    if by not in fields:
        raise InvalidInput(
            f"items are ordered by one of {fields}, not {show(by)}; other numbers and dates: declare them in the space's fields"
        )
    request = query.top(_filter(bound, ask), ask.limit, by)
    answers = yield from call("query_batch_points", collection_name=bound.space.items, requests=[request])
    return _scored_by_popularity(answers[0].points, f"by {by}")


def request(bound: Bound, user: str, ask: Ask, exclude_seen: Seen) -> Steps[dict[str, Any]]:
    """The exact body that :func:`recommend` sends."""
    plan, _ = yield from _personal(bound, _checked(ask), user, exclude_seen)
    return query.as_json(plan.request)


def _known_items(bound: Bound, ids: Sequence[str]) -> Steps[dict[str, list[str]]]:
    """External id → its legs, of the items that exist."""
    if not ids:
        return {}
    points = {point_id("item", one, bound.tenant): one for one in ids}
    found = yield from call("retrieve", collection_name=bound.space.items, ids=list(points), with_payload=[Key.LEGS])
    return {points[str(record.id)]: (record.payload or {}).get(Key.LEGS) or [] for record in found}


def recommend_from(
    bound: Bound, positive: Sequence[str], negative: Sequence[str], ask: Ask
) -> Steps[list[Recommendation]]:
    """Items for an anonymous session, from examples. Unknown examples are passed over.

    Raises :class:`NotFound` if none of the positive examples is known.
    """
    _checked(ask)
    if isinstance(positive, str) or isinstance(negative, str) or not positive:
        raise InvalidInput("positive and negative are lists of item ids, and positive must not be empty")
    liked = list(dict.fromkeys(positive))
    disliked = [one for one in dict.fromkeys(negative) if one not in liked]
    known = yield from _known_items(bound, [*liked, *disliked])
    if not any(one in known for one in liked):
        raise NotFound(f"none of the items {liked[:5]!r} is in space {bound.space.name!r}: load them first")
    legs: list[LegQuery] = []
    for leg in (DENSE, TFIDF):
        examples = [
            [point_id("item", one, bound.tenant) for one in ids if leg in known.get(one, [])]
            for ids in (liked, disliked)
        ]
        if examples[0]:
            wish = models.RecommendInput(positive=list(examples[0]), negative=list(examples[1]))
            legs.append(LegQuery(leg, models.RecommendQuery(recommend=wish)))
    history = dict.fromkeys(liked, 1.0) | dict.fromkeys(disliked, -1.0)
    legs.append(LegQuery(COLLAB, _history(bound, history)))
    plan = _plan(bound, ask, legs, _filter(bound, ask, [*liked, *disliked]))
    return (yield from _run(bound, ask, plan)) if plan else []


def _history(bound: Bound, weights: Mapping[str, float]) -> models.NearestQuery:
    """Items with weights as a query of the collab leg."""
    vector = models.SparseVector(
        indices=[sparse_index(one, bound.tenant) for one in weights], values=list(weights.values())
    )
    return models.NearestQuery(nearest=vector)


def similar_items(bound: Bound, item: str, ask: Ask) -> Steps[list[Recommendation]]:
    """Items like this one, and items that people go on to.

    Raises :class:`NotFound` for an unknown item.
    """
    _checked(ask)
    known = yield from _known_items(bound, [item])
    if item not in known:
        raise NotFound(f"item {item!r} is not in space {bound.space.name!r}: check the id, or load it first")
    point = point_id("item", item, bound.tenant)
    legs = [LegQuery(leg, point) for leg in (DENSE, TFIDF) if leg in known[item]]
    legs.append(LegQuery(COLLAB, _history(bound, {item: 1.0})))
    plan = _plan(bound, ask, legs, _filter(bound, ask, [item]))
    return (yield from _run(bound, ask, plan)) if plan else []


def similar_users(bound: Bound, user: str, limit: int) -> Steps[list[SimilarUser]]:
    """Users with like interests and histories.

    Raises :class:`NotFound` for a user without events.
    """
    query.check_limit(limit)
    who = yield from _look_up(bound, user)
    if not who.known:
        raise NotFound(f"user {user!r} has no events in space {bound.space.name!r}: check the id, or track some first")
    filter = query.combined(bound.tenant, None, [who.point])
    legs = [LegQuery(leg, who.point) for leg in who.legs]
    if not legs:
        return []
    request = query.fused(legs, weights=bound.config.weights, filter=filter, limit=limit, depth=bound.config.prefetch)
    answers = yield from call("query_batch_points", collection_name=bound.space.users, requests=[request])
    return query.users(answers[0].points)


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
            yield from writes.query_text(bound, text)
        if not asked:
            asked = yield from writes.request_text(bound, point)
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
