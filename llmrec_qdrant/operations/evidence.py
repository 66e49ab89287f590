"""Takes the scores of a list apart: what each leg adds, and which items, texts and words carry it.

What a leg adds follows from its own list of candidates (``query/dbsf.py``). A leg of the user is a weighted sum over items and texts
(``query/sources.py``), so its score is the same sum over their scores, which Qdrant computes: no vector is fetched for it.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from qdrant_client import models

from llmrec_qdrant.contracts.answers import Recommendation
from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.plan import Plan, Taste, depths_of, read_ranked
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.query import pages, results
from llmrec_qdrant.query.dbsf import Part, Term, parts_of, terms_of
from llmrec_qdrant.query.options import ListOptions
from llmrec_qdrant.query.requests import Request
from llmrec_qdrant.query.sources import Source, Sources
from llmrec_qdrant.query.told import Carried, Known, evidence_of
from llmrec_qdrant.space.conditions import has_id, where
from llmrec_qdrant.space.layout import COLLAB, DENSE, TFIDF, Key
from llmrec_qdrant.space.points import Point

__all__ = ["Scored", "carried", "known_of", "run_list", "terms_at"]


MAX_WORDS = 16
"""Words of the user that are looked for, strongest first."""


@dataclass(frozen=True)
class Scored:
    """What makes the score of one item."""

    terms: Sequence[Term] = ()
    behind: float = 0.0
    """What is added because only the second list of candidates has the item."""


@dataclass
class _Asked:
    """Requests in one batch, and what to do with their answers."""

    requests: list[models.QueryRequest] = field(default_factory=list)
    keys: list[tuple[str, str, str]] = field(default_factory=list)
    """Kind, the leg or word, and the point that is asked about."""

    def add(self, kind: str, name: str, about: str, request: models.QueryRequest) -> None:
        self.requests.append(request)
        self.keys.append((kind, name, about))


def run_list(
    bound: Bound, options: ListOptions, plan: Plan, taste: Taste, sources: Sources
) -> Steps[list[Recommendation]]:
    """Return the list of a plan, with evidence if ``explain`` asks for it."""
    if not options.explain:
        points, _ = yield from read_ranked(bound, options, plan, taste)
        return results.recommendations(points, plan.reason)
    plan = replace(plan, at=cache(plan.at))  # the same request is taken apart and sent
    depths = depths_of(options, plan)
    parts = [parts_of(plan.at(depth)) for depth in depths]
    alone = [part.alone(plan.filter) for some in parts for part in some]
    points, lists = yield from read_ranked(bound, options, plan, taste, alone)
    scored = terms_at(plan, depths, parts, lists, {point.id for point in points})
    found = yield from carried(bound, scored, sources, points)
    known = known_of(bound, taste)
    return [
        _with_evidence(recommendation, point, scored.get(point.id, Scored()), found, sources, known)
        for recommendation, point in zip(results.recommendations(points, plan.reason), points, strict=True)
    ]


def known_of(bound: Bound, taste: Taste) -> Known:
    """Return what evidence takes from the user or text; a tenant sees no score that the items of all tenants determine."""
    return Known(taste.terms, taste.steering, taste.labels, places=bound.tenant is not None)


def terms_at(
    plan: Plan,
    depths: Sequence[int],
    parts: Sequence[Sequence[Part]],
    lists: Sequence[Sequence[Point]],
    wanted: Container[str],
) -> dict[str, Scored]:
    """Return point id → what makes its score, from each part's own list at each depth; the first depth that has a point counts."""
    scored: dict[str, Scored] = {}
    start = 0
    for place, some in enumerate(parts):
        found = terms_of(some, lists[start : start + len(some)], wanted)
        start += len(some)
        behind = pages.behind(plan.at(depths[0]), plan.at(depths[place])) if place else 0.0
        for point, terms in found.items():
            if place == 0 or point not in scored:
                scored[point] = Scored(terms, behind)
    return scored


def _with_evidence(
    recommendation: Recommendation, point: Point, scored: Scored, found: Carried, sources: Sources, known: Known
) -> Recommendation:
    told = evidence_of(point, scored.terms, scored.behind, found, sources, known)
    scores = {leg.leg: leg.score for leg in told.legs}
    return recommendation.model_copy(update={"legs": scores, "reason": told.reasons["en"], "evidence": told})


def carried(
    bound: Bound, scored: Mapping[str, Scored], sources: Sources, listed: Sequence[Point] | None = None
) -> Steps[Carried]:
    """Read what each source adds to each leg of these points; of a list, by the heaviest sources and the words that its points show."""
    heavy = list(sources.all) if listed is None else sources.heavy
    items = {source.point: source for source in heavy if source.item is not None}
    texts = {source.point: source for source in heavy if source.item is None}
    legs = yield from calls.retrieve(bound.space.texts, texts, [Key.LEGS])
    asked = _asked(bound, scored, sources, list(items), legs, listed)
    answers = yield from calls.query(bound.space.items, asked.requests) if asked.requests else _nothing()
    found, taken = Carried(), {source.index: source for source in sources.all if source.weights.get(COLLAB)}
    for (kind, name, about), points in zip(asked.keys, answers, strict=True):
        for point in points:
            match kind:
                case "title":
                    found.titles[point.id] = point.get(Key.TITLE, "")
                case "row":
                    _add_row(found, point, taken)
                case "word":
                    found.add_word(point.id, name, point.score)
                case "text":
                    found.add(point.id, name, texts[about], point.score)
                case _ if point.id in items:
                    found.add(about, name, items[point.id], point.score)
    _add_self(found, scored, items)
    return found


def _nothing() -> Steps[list[list[Point]]]:
    yield from ()
    return []


def _in_leg(scored: Mapping[str, Scored], leg: Leg) -> list[str]:
    """Return the points that the leg adds to."""
    return [point for point, made in scored.items() if any(term.part.leg == leg for term in made.terms)]


def _asked(
    bound: Bound,
    scored: Mapping[str, Scored],
    sources: Sources,
    items: Sequence[str],
    texts: Sequence[Point],
    listed: Sequence[Point] | None,
) -> _Asked:
    asked, known = _Asked(), _of(bound, items)
    if items:
        asked.add("title", "", "", Request(filter=_of(bound, items), limit=len(items), with_payload=[Key.TITLE]))
        if followed := _in_leg(scored, COLLAB):
            rows = Request(filter=_of(bound, followed), limit=len(followed), with_payload=False, with_vector=[COLLAB])
            asked.add("row", "", "", rows)
    for leg in (DENSE, TFIDF):
        mine = _in_leg(scored, leg)
        if leg not in sources.linear or not mine:
            continue
        near = _scores(models.NearestQuery(nearest=""), leg, known, len(items))
        for point in mine if items else ():
            query = models.NearestQuery(nearest=point)
            asked.add("item", leg, point, near.model_copy(update={"query": query}))  # building one takes far longer
        for text in texts:
            if leg in text.get(Key.LEGS, []):
                lookup = models.LookupLocation(collection=bound.space.texts, vector=leg)
                asked.add(
                    "text",
                    leg,
                    text.id,
                    _scores(models.NearestQuery(nearest=text.id), leg, _of(bound, mine), len(mine), lookup),
                )
    mine = _in_leg(scored, TFIDF)
    having_words = _of(bound, mine)
    for word, (index, value) in _words(sources, listed) if mine else ():
        vector = models.SparseVector(indices=[int(index)], values=[value])
        asked.add("word", word, "", _scores(models.NearestQuery(nearest=vector), TFIDF, having_words, len(mine)))
    return asked


def _words(sources: Sources, listed: Sequence[Point] | None) -> list[tuple[str, Sequence[float]]]:
    """Return the strongest words of the user; of a list, those that a listed item has among its own words."""
    words = list(sources.words.items())[:MAX_WORDS]
    if listed is None:
        return words
    shared = {word for point in listed for word in point.get(Key.TERMS, [])}
    return [(word, place) for word, place in words if word in shared]


def _scores(
    query: models.NearestQuery, leg: Leg, among: models.Filter, limit: int, lookup: models.LookupLocation | None = None
) -> models.QueryRequest:
    """Return a request for the scores of these points."""
    return Request(query=query, using=leg, lookup_from=lookup, filter=among, limit=limit, with_payload=False)


def _of(bound: Bound, points: Sequence[str]) -> models.Filter:
    """Return a filter for these points, which asks for the tenant as every request does."""
    return where(*([bound.mine] if bound.mine else []), has_id(*points))


def _add_self(found: Carried, scored: Mapping[str, Scored], items: Mapping[str, Source]) -> None:
    """Add an item that is its own evidence: Qdrant leaves the point that is asked about out of the answer, and its cosine is 1."""
    for point in _in_leg(scored, DENSE):
        if point in items:
            found.add(point, DENSE, items[point], 1.0)


def _add_row(found: Carried, row: Point, taken: Mapping[int, Source]) -> None:
    """Add the items of a row of the collab leg that the user took; ``taken``: index in the leg → source."""
    bag = row.sparse(COLLAB)
    values = dict(zip(bag.indices, bag.values, strict=True)) if bag else {}
    for index in values.keys() & taken.keys():
        found.add(row.id, COLLAB, taken[index], values[index])
