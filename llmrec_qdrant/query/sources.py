"""What the vectors of a query are made of: items and texts with their weights. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from llmrec_qdrant.contracts.config import LEGS, Leg, SpaceConfig
from llmrec_qdrant.query.folding import decayed_weights
from llmrec_qdrant.query.reasons import Origin
from llmrec_qdrant.space.ids import point_id, sparse_index
from llmrec_qdrant.space.layout import COLLAB, DENSE, TFIDF

__all__ = ["Source", "Sources", "examples", "of_user"]

COVERED = 0.99
"""Share of the total weight of a leg that the heaviest sources cover, in lists."""
MAX_HEAVY = 24
"""Sources that lists look at."""


@dataclass(frozen=True)
class Source:
    """One item or text behind a query."""

    point: str
    item: str | None
    """Id of the item; None for a text."""
    weights: Mapping[Leg, float]
    """Leg → factor of the source's vector in the vector of the query."""
    index: int = 0
    """Of an item, its index in the collab leg."""


@dataclass(frozen=True)
class Sources:
    """The sources of a query."""

    all: Sequence[Source] = ()
    linear: frozenset[str] = frozenset()
    """Legs whose vector is the weighted sum of the sources."""
    words: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Word → its index in the tfidf leg and its value in the user's vector."""
    origin: Origin = "history"
    scaled: bool = True
    """Whether the weights include the scale of the sum; if not, parts are scaled to add up to the score."""

    @property
    def heavy(self) -> list[Source]:
        """The sources that matter to any leg, heaviest first."""
        picked: dict[str, Source] = {}
        for leg in LEGS:
            weights = [(abs(source.weights.get(leg, 0.0)), source) for source in self.all]
            left = (1 - COVERED) * sum(weight for weight, _ in weights)
            rest = sum(weight for weight, _ in weights)
            for weight, source in sorted(weights, key=lambda pair: -pair[0])[:MAX_HEAVY]:
                if rest <= left:
                    break
                picked[source.point] = source
                rest -= weight
        return list(picked.values())


def of_user(
    stored: Mapping[str, Any], config: SpaceConfig, tenant: str | None, without: Collection[str] = ()
) -> Sources:
    """Return the sources of a user's vectors, from what a refresh stored; ``without`` leaves out events about these items.

    The other events then weigh what they would weigh if those had never been: the scale is not known then.
    """
    rows = [row for row in stored.get("events", ()) if row["item"] not in without]
    norms = stored.get("norms", {})
    moments, weights = [row["ts"] for row in rows], np.array([row["weight"] for row in rows], dtype=np.float64)
    steps = decayed_weights(moments, weights, config, config.position_decay).tolist()
    nexts = decayed_weights(moments, weights, config, config.collab_decay).tolist()
    sources: dict[str, Source] = {}
    for row, step, follow in zip(rows, steps, nexts, strict=True):
        for source in _of_row(row, {DENSE: step, TFIDF: step, COLLAB: follow}, norms, tenant):
            known = sources.get(source.point)
            sources[source.point] = source if known is None else _sum(known, source)
    return Sources(
        [_followed(source) for source in sources.values()],
        frozenset(norms),
        stored.get("words", {}),
        scaled=not without,
    )


def _of_row(
    row: Mapping[str, Any], weights: Mapping[Leg, float], norms: Mapping[str, float], tenant: str | None
) -> Iterable[Source]:
    scaled: dict[Leg, float] = {leg: weight / norms[leg] for leg, weight in weights.items() if norms.get(leg)}
    if row["item"]:
        yield Source(point_id("item", row["item"], tenant), row["item"], scaled, sparse_index(row["item"], tenant))
    if row["text"]:
        yield Source(row["event"], None, {leg: weight for leg, weight in scaled.items() if leg != COLLAB})


def _sum(first: Source, second: Source) -> Source:
    weights = {
        leg: first.weights.get(leg, 0.0) + second.weights.get(leg, 0.0) for leg in {**first.weights, **second.weights}
    }
    return Source(first.point, first.item, weights, first.index)


def _followed(source: Source) -> Source:
    """Leave an item that its dislikes outweigh out of the collab leg, as the fold does."""
    if source.weights.get(COLLAB, 0.0) > 0:
        return source
    return replace(source, weights={leg: weight for leg, weight in source.weights.items() if leg != COLLAB})


def examples(liked: Sequence[str], disliked: Sequence[str], tenant: str | None) -> Sources:
    """Return example items as sources of the queries of ``recommend_from`` and ``similar_items``."""
    factor = 2.0 if disliked else 1.0
    sources = []
    for items, dense, words, follow in ((liked, factor, 1.0, 1.0), (disliked, -1.0, -1.0, 0.0)):
        for item in items:
            weights: dict[Leg, float] = {DENSE: dense / len(items), TFIDF: words / len(items), COLLAB: follow}
            sources.append(Source(point_id("item", item, tenant), item, weights, sparse_index(item, tenant)))
    return Sources(sources, frozenset(LEGS), origin="examples", scaled=False)
