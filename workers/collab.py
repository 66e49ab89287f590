"""All events → the collab leg: what people do next, as a sparse vector per item.

For a user's items in order of time, item *j* at ``d`` steps after item *i* adds ``d^-collab_distance`` to the pair
(i → j) and, since order is noisy, a part of that to (j → i). Divided by the square root of the *source's* number of
events: a source that everybody takes says little, but a target is not punished for being popular, since people do
take popular items next. On three public datasets that beat dividing by both roots (cosine, Sarwar et al. 2001) on
validation data. The strongest sources of each item form its vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from qdrant_client import QdrantClient, models
from scipy import sparse

from llmrec_qdrant.contracts import SpaceConfig
from llmrec_qdrant.ids import point_id, sparse_index
from llmrec_qdrant.layout import COLLAB, COLLAB_FIT, Key, Space
from llmrec_qdrant.translate import translated
from llmrec_qdrant.writes import batches, now, timestamp
from workers import store
from workers.profiles import event_weight

__all__ = ["Interactions", "cooccurrence", "fit", "read_interactions"]

WINDOW = 10
"""Steps between two items that still count as following each other."""
BACKWARD = 0.3
"""Weight of the opposite direction."""
WIDTH = 200
"""Sources kept per item."""
PAIRS = 20_000_000
"""Pairs of events held at once: memory stays below a gigabyte however many events there are."""


@dataclass(frozen=True)
class Interactions:
    """Positive events as columns, by user and time: row *k* says that ``users[k]`` took ``items[k]``."""

    users: np.ndarray
    items: np.ndarray
    names: list[tuple[str, str]]
    """(tenant, item id) per item number."""
    n_events: int = 0
    """Events read, of any kind."""
    owners: list[tuple[str, str]] = field(default_factory=list)
    """(tenant, user id) per user number."""

    @property
    def popularity(self) -> np.ndarray:
        """Number of distinct users per item."""
        pairs = np.unique(np.stack([self.users, self.items]), axis=1) if len(self.users) else np.empty((2, 0), int)
        counts: np.ndarray = np.bincount(pairs[1], minlength=len(self.names))
        return counts


def read_interactions(client: QdrantClient, space: Space, config: SpaceConfig) -> Interactions:
    """All positive events about items, 20 bytes each in memory beside the table of ids."""
    users: dict[tuple[str, str], int] = {}
    items: dict[tuple[str, str], int] = {}
    columns: list[np.ndarray] = []
    total = 0
    wanted = [Key.USER_ID, Key.ITEM_ID, Key.TENANT, Key.TS, Key.TYPE, Key.VALUE]
    for page in store.scroll(client, space.events, None, wanted):
        rows = []
        for record in page:
            payload = record.payload or {}
            total += 1
            item = payload.get(Key.ITEM_ID)
            if not item or event_weight(payload[Key.TYPE], payload.get(Key.VALUE), config) <= 0:
                continue
            tenant = payload.get(Key.TENANT) or ""
            user = users.setdefault((tenant, payload[Key.USER_ID]), len(users))
            moment = timestamp(payload[Key.TS])
            rows.append((user, items.setdefault((tenant, item), len(items)), moment))
        if rows:
            columns.append(np.array(rows, dtype=[("user", "i4"), ("item", "i4"), ("ts", "f8")]))
    table = np.concatenate(columns) if columns else np.empty(0, dtype=[("user", "i4"), ("item", "i4"), ("ts", "f8")])
    table = table[np.lexsort((table["ts"], table["user"]))]
    return Interactions(table["user"], table["item"], list(items), total, list(users))


def cooccurrence(found: Interactions, distance: float = 1.0, pairs: int = PAIRS) -> Iterator[sparse.csr_matrix]:
    """Blocks of rows of the matrix (items, items), in order: row = item, column = source, value = strength of source → item."""
    size = len(found.names)
    events = np.bincount(found.items, minlength=size).astype(np.float64)
    scale = sparse.diags(1.0 / np.sqrt(np.maximum(events, 1.0)))
    ends = np.searchsorted(
        np.cumsum(events) * 2 * WINDOW, np.arange(1, 1 + 2 * WINDOW * len(found.items) // pairs) * pairs
    )
    start = 0
    for end in [*np.unique(ends[(ends > 0) & (ends < size)]).tolist(), size]:
        yield (_block(found, distance, start, end) @ scale).tocsr()
        start = end


def _block(found: Interactions, distance: float, start: int, end: int) -> sparse.csr_matrix:
    """Unscaled rows ``start`` to ``end``."""
    total = sparse.csr_matrix((end - start, len(found.names)), dtype=np.float64)
    for step in range(1, WINDOW + 1):
        if len(found.users) <= step:
            break
        same = (found.users[:-step] == found.users[step:]) & (found.items[:-step] != found.items[step:])
        before, after = found.items[:-step], found.items[step:]
        for target, source, weight in ((after, before, step**-distance), (before, after, BACKWARD * step**-distance)):
            mine = same & (target >= start) & (target < end)
            values = np.full(int(mine.sum()), weight)
            total = total + sparse.csr_matrix((values, (target[mine] - start, source[mine])), shape=total.shape)
    return total


def _rows(
    blocks: Iterable[sparse.csr_matrix], names: list[tuple[str, str]]
) -> Iterator[tuple[int, models.SparseVector]]:
    first = 0
    for block in blocks:
        yield from _rows_of(block, names, first)
        first += block.shape[0]


def _rows_of(
    matrix: sparse.csr_matrix, names: list[tuple[str, str]], first: int
) -> Iterator[tuple[int, models.SparseVector]]:
    for row in range(matrix.shape[0]):
        start, end = matrix.indptr[row], matrix.indptr[row + 1]
        columns, values = matrix.indices[start:end], matrix.data[start:end]
        order = np.lexsort((columns, -values))[:WIDTH]
        merged: dict[int, float] = {}
        for k in order:
            tenant, item = names[columns[k]]
            index = sparse_index(item, tenant or None)
            merged[index] = merged.get(index, 0.0) + float(values[k])
        yield first + row, models.SparseVector(indices=list(merged), values=list(merged.values()))


def fit(client: QdrantClient, space: Space, config: SpaceConfig) -> None:
    """Rebuild ``collab`` and ``popularity`` of every item; an item that nobody took any more loses both."""
    found = read_interactions(client, space, config)
    popularity = found.popularity
    points = [point_id("item", item, tenant or None) for tenant, item in found.names]
    _write_popularity(client, space, points, popularity)
    for batch in batches(_rows(cooccurrence(found, config.collab_distance), found.names), 256):
        vectors = [
            models.PointVectors(id=points[row], vector={COLLAB: vector}) for row, vector in batch if vector.indices
        ]
        store.write_existing(client, space.items, vectors)
        _clear(client, space, [points[row] for row, vector in batch if not vector.indices])
    _forget_others(client, space, set(points))
    fitted = {
        "events": found.n_events,
        "items": store.count(client, space.items),
        "fitting": config.fitting,
        "at": now(),
    }
    with translated():
        client.update_collection(space.items, metadata={COLLAB_FIT: fitted})


def _write_popularity(client: QdrantClient, space: Space, points: list[str], popularity: np.ndarray) -> None:
    """One operation per number of users, not per item: most items share few numbers, and each operation costs 1 ms."""
    by_value: dict[float, list[str]] = {}
    for point, value in zip(points, popularity.tolist(), strict=True):
        by_value.setdefault(float(value), []).append(point)
    for value, ids in by_value.items():
        for batch in batches(ids, 1_000):
            with translated():
                client.set_payload(
                    space.items, {Key.POPULARITY: value}, points=store.where(store.has_id(*batch)), wait=True
                )


def _clear(client: QdrantClient, space: Space, points: list[str]) -> None:
    if points:
        with translated():
            client.delete_vectors(
                space.items, [COLLAB], models.FilterSelector(filter=store.where(store.has_id(*points)))
            )


def _forget_others(client: QdrantClient, space: Space, fitted: set[str]) -> None:
    """Items that were popular once and have no event left, as after a user was forgotten."""
    popular = store.where(models.FieldCondition(key=Key.POPULARITY, range=models.Range(gt=0)))
    for page in store.scroll(client, space.items, popular, False):
        gone = [str(record.id) for record in page if str(record.id) not in fitted]
        if gone:
            _clear(client, space, gone)
            with translated():
                client.set_payload(
                    space.items, {Key.POPULARITY: 0.0}, points=store.where(store.has_id(*gone)), wait=True
                )
