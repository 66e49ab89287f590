"""What the vectors of a query are made of: items and texts with their weights. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from llmrec_qdrant.contracts.config import LEGS, SpaceConfig
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
    weights: Mapping[str, float]
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
        picked: dict[int, None] = {}
        for leg in LEGS:
            weights = np.abs([source.weights.get(leg, 0.0) for source in self.all])
            order = np.argsort(-weights, kind="stable")[:MAX_HEAVY]
            left = weights.sum() - np.cumsum(weights[order]) + weights[order]
            picked |= dict.fromkeys(order[left > (1 - COVERED) * weights.sum()].tolist())
        return [self.all[place] for place in picked]


def of_user(
    stored: Mapping[str, Any], config: SpaceConfig, tenant: str | None, without: Collection[str] = ()
) -> Sources:
    """Return the sources of a user's vectors, from what a refresh stored; ``without`` leaves out events about these items.

    The other events then weigh what they would weigh if those had never been: the scale is not known then.
    """
    rows = [row for row in stored.get("events", ()) if row.get("item") not in without]
    norms = stored.get("norms", {})
    moments, weights = [row["ts"] for row in rows], np.array([row["weight"] for row in rows], dtype=np.float64)
    steps = decayed_weights(moments, weights, config, config.position_decay).tolist()
    nexts = decayed_weights(moments, weights, config, config.collab_decay).tolist()
    total: dict[tuple[str, str | None], tuple[float, float]] = {}
    for row, step, follow in zip(rows, steps, nexts, strict=True):
        for about in _about(row):
            before = total.get(about, (0.0, 0.0))
            total[about] = before[0] + step, before[1] + follow
    return Sources(
        [_source(text, item, tenant, norms, *weights) for (text, item), weights in total.items()],
        frozenset(norms),
        stored.get("words", {}),
        scaled=not without,
    )


def _about(row: Mapping[str, Any]) -> Iterable[tuple[str, str | None]]:
    """Yield what a stored event is about: its item, and the text that lies at its own point."""
    if row.get("item"):
        yield "", row["item"]
    if row.get("text"):
        yield row["event"], None


def _source(
    text: str, item: str | None, tenant: str | None, norms: Mapping[str, float], step: float, follow: float
) -> Source:
    """Return a source with its total weights; the collab leg leaves out an item that its dislikes outweigh, as the fold does."""
    totals: dict[str, float] = {DENSE: step, TFIDF: step}
    if item is not None and follow > 0:
        totals[COLLAB] = follow
    weights = {leg: weight / norms[leg] for leg, weight in totals.items() if norms.get(leg)}
    if item is None:
        return Source(text, None, weights)
    point, index = _names(item, tenant)
    return Source(point, item, weights, index)


@lru_cache(maxsize=10_000)
def _names(item: str, tenant: str | None) -> tuple[str, int]:
    """Return the point id of an item and its index in the collab leg."""
    return point_id("item", item, tenant), sparse_index(item, tenant)


def examples(liked: Sequence[str], disliked: Sequence[str], tenant: str | None) -> Sources:
    """Return example items as sources of the queries of ``recommend_from`` and ``similar_items``."""
    factor = 2.0 if disliked else 1.0
    sources = []
    for items, dense, words, follow in ((liked, factor, 1.0, 1.0), (disliked, -1.0, -1.0, 0.0)):
        for item in items:
            weights: dict[str, float] = {DENSE: dense / len(items), TFIDF: words / len(items), COLLAB: follow}
            sources.append(Source(point_id("item", item, tenant), item, weights, sparse_index(item, tenant)))
    return Sources(sources, frozenset(LEGS), origin="examples", scaled=False)
