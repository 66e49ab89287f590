"""Measures of lists beyond accuracy: coverage, novelty and intra-list diversity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import DENSE

from ..behaviour.vectors import normalised
from ..storage.store import SpaceStore

__all__ = ["Beyond", "Diversity", "Name", "coverage", "novelty"]

ITEMS_PER_READ = 1_000
Name = tuple[str, str]
"""(tenant, item id)."""


class Beyond(NamedTuple):
    """Measures over all lists of one way to recommend."""

    coverage: float
    novelty: float
    diversity: float | None


def coverage(lists: Iterable[Sequence[Name]], catalogue: int) -> float:
    """Return the share of the ``catalogue``'s items that appear in any list."""
    return len({item for listed in lists for item in listed}) / max(catalogue, 1)


def novelty(lists: Iterable[Sequence[Name]], shares: Mapping[Name, float]) -> float:
    """Return the mean self-information of listed items in bits: -log2 of the share of users who took them (Zhou et al. 2010).

    An item that nobody took counts as the rarest of the others.
    """
    rarest = min((share for share in shares.values() if share > 0), default=1.0)
    bits = [-math.log2(shares.get(item) or rarest) for listed in lists for item in listed]
    return float(np.mean(bits)) if bits else 0.0


class Diversity:
    """Measures intra-list diversity (Ziegler et al. 2005) by the dense vectors of a space; reads each vector once."""

    def __init__(self, store: SpaceStore) -> None:
        self._store = store
        self._vectors: dict[Name, list[float] | None] = {}

    def of(self, lists: Iterable[Sequence[Name]]) -> float | None:
        """Return the mean of 1 - cosine over the pairs of each list, then over lists; None if no list has two vectors."""
        known = [list(listed) for listed in lists]
        self._read({item for listed in known for item in listed if item not in self._vectors})
        distances = [distance for listed in known if (distance := self._distance(listed)) is not None]
        return float(np.mean(distances)) if distances else None

    def _distance(self, listed: Sequence[Name]) -> float | None:
        rows = [vector for item in listed if (vector := self._vectors[item]) is not None]
        if len(rows) < 2:
            return None
        unit = normalised(np.array(rows, dtype=np.float32))
        return 1 - float((unit @ unit.T)[np.triu_indices(len(rows), 1)].mean())

    def _read(self, items: Iterable[Name]) -> None:
        for batch in batches(items, ITEMS_PER_READ):
            points = {point_id("item", item, tenant or None): (tenant, item) for tenant, item in batch}
            self._vectors.update(dict.fromkeys(batch))
            for point in self._store.items.retrieve(points, payload=False, vectors=[DENSE]):
                self._vectors[points[point.id]] = point.dense(DENSE) or None
