"""All events → the collab leg: what people do next, as a sparse vector per item.

For a user's items in order of time, item *j* at ``d`` steps after item *i* adds ``d^-collab_distance`` to the pair
(i → j) and, since order is noisy, a part of that to (j → i). Divided by the square root of the *source's* number of
users: a source that everybody takes says little, but a target is not punished for being popular, since people do
take popular items next. On three public datasets that beat dividing by both roots (cosine, Sarwar et al. 2001) on
validation data. What people take again and again follows itself: in lists that may repeat items, ink comes back and its
printer does not. The strongest sources of each item form its vector.

New events have the rows they change rebuilt within seconds (:func:`refit`); everything is rebuilt where the space has
grown by a tenth (:func:`fit`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.messages import MAX_BATCH
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.operations.clock import now, timestamp
from llmrec_qdrant.operations.translate import translated
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import COLLAB, COLLAB_FIT, Key, Space

from ..behaviour.cooccurrence import WINDOW, Interactions, _rows, cooccurrence, strengths
from ..behaviour.event_weights import event_weight, item_point
from ..storage import store

__all__ = ["collect", "due", "fit", "mark_due", "read_collab_fit", "read_interactions", "refit"]


def read_collab_fit(client: QdrantClient, space: Space) -> dict[str, Any]:
    """Numbers of events and items the collab leg was fitted on, and digest of the settings; empty if never."""
    with translated():
        metadata = client.get_collection(space.items).config.metadata or {}
    fitted = metadata.get(COLLAB_FIT) or {}
    return {name: fitted[name] for name in ("events", "items", "fitting") if name in fitted}


POPULAR = 500
"""Users of an item above which a new event does not rebuild its row."""


USERS = 5_000
"""Users whose events one partial rebuild reads."""


EVENTS = 500_000
"""Events of these users above which a partial rebuild is left to the next whole fit."""


WANTED = (Key.USER_ID, Key.ITEM_ID, Key.TENANT, Key.TS, Key.TYPE, Key.VALUE)


def read_interactions(client: QdrantClient, space: Space, config: SpaceConfig) -> Interactions:
    """All positive events about items."""
    return collect(store.scroll(client, space.events, None, WANTED), config)


def collect(pages: Iterable[Sequence[models.Record]], config: SpaceConfig) -> Interactions:
    """The positive events about items in pages of events: 16 bytes each in memory, beside the table of ids."""
    users: dict[tuple[str, str], int] = {}
    items: dict[tuple[str, str], int] = {}
    columns: list[np.ndarray] = []
    total = 0
    for page in pages:
        rows = []
        for record in page:
            payload = record.payload or {}
            total += 1
            if not _counts(payload, config):
                continue
            tenant, item = payload.get(Key.TENANT) or "", payload[Key.ITEM_ID]
            user = users.setdefault((tenant, payload[Key.USER_ID]), len(users))
            moment = timestamp(payload[Key.TS])
            rows.append((user, items.setdefault((tenant, item), len(items)), moment))
        if rows:
            columns.append(np.array(rows, dtype=[("user", "i4"), ("item", "i4"), ("ts", "f8")]))
    table = np.concatenate(columns) if columns else np.empty(0, dtype=[("user", "i4"), ("item", "i4"), ("ts", "f8")])
    columns.clear()
    table = table[np.lexsort((table["ts"], table["user"]))]
    return Interactions(table["user"].copy(), table["item"].copy(), list(items), total, list(users))


def _counts(payload: Mapping[str, Any], config: SpaceConfig) -> bool:
    """Whether an event says that its user took an item."""
    return bool(payload.get(Key.ITEM_ID)) and event_weight(payload[Key.TYPE], payload.get(Key.VALUE), config) > 0


def fit(client: QdrantClient, space: Space, config: SpaceConfig) -> None:
    """Rebuild ``collab`` and ``popularity`` of every item; an item that nobody took any more loses both."""
    since = now()
    found = read_interactions(client, space, config)
    popularity = found.popularity
    points = [point_id("item", item, tenant or None) for tenant, item in found.names]
    _write_popularity(client, space, points, popularity)
    for batch in batches(_rows(cooccurrence(found, config.collab_distance), found.names), 256):
        _write(client, space, {points[row]: vector for row, vector in batch})
    _forget_others(client, space, set(points))
    _not_due(client, space, since)
    fitted = {
        "events": found.n_events,
        "items": store.count(client, space.items),
        "fitting": config.fitting,
        "at": now(),
    }
    with translated():
        client.update_collection(space.items, metadata={COLLAB_FIT: fitted})


def refit(client: QdrantClient, space: Space, config: SpaceConfig, ids: Sequence[str]) -> None:
    """Rebuild ``collab`` and ``popularity`` of these item points, as :func:`fit` would.

    Reads the events of everybody who took one of them. The popularity of other items is taken as it is stored.
    """
    since = now()
    with translated():
        records = client.retrieve(space.items, list(ids), with_payload=[Key.ITEM_ID, Key.TENANT])
    names = {
        ((one.payload or {}).get(Key.TENANT) or "", (one.payload or {})[Key.ITEM_ID]): str(one.id) for one in records
    }
    users = _who_took(client, space, list(names))
    if sum(store.count(client, space.events, one) for one in users) > EVENTS:  # the next whole fit does it
        return _not_due(client, space, since, list(names.values()))
    found = collect((page for one in users for page in store.scroll(client, space.events, one, WANTED)), config)
    number = {name: k for k, name in enumerate(found.names)}
    rows = np.array([number[name] for name in names if name in number], dtype=np.int64)
    popularity = found.popularity.astype(np.float64)
    mine = [names[found.names[row]] for row in rows]
    _write_popularity(client, space, mine, popularity[rows])
    for row, stored in _stored_popularity(client, space, found.names, set(rows.tolist())):
        popularity[row] = stored
    matrix = strengths(found, rows, popularity, config.collab_distance)
    _write(client, space, {mine[k]: vector for k, vector in _rows([matrix], found.names)})
    gone = [point for name, point in names.items() if name not in number]
    _clear(client, space, gone)
    _write_popularity(client, space, gone, np.zeros(len(gone)))
    _not_due(client, space, since, list(names.values()))


def _who_took(client: QdrantClient, space: Space, names: Sequence[tuple[str, str]]) -> list[models.Filter]:
    """Conditions on the events of everybody who took one of these items, a hundred users each."""
    found = []
    for tenant in dict.fromkeys(tenant for tenant, _ in names):
        inside = conditions.equals(Key.TENANT, tenant)
        users: dict[str, None] = {}
        for batch in batches((item for at, item in names if at == tenant), 100):
            taken = conditions.where(inside, conditions.one_of(Key.ITEM_ID, batch))
            for page in store.scroll(client, space.events, taken, [Key.USER_ID]):
                users.update(dict.fromkeys((record.payload or {})[Key.USER_ID] for record in page))
        found += [conditions.where(inside, conditions.one_of(Key.USER_ID, batch)) for batch in batches(users, 100)]
    return found


def _stored_popularity(
    client: QdrantClient, space: Space, names: Sequence[tuple[str, str]], but: set[int]
) -> Iterator[tuple[int, float]]:
    rows = {point_id("item", item, tenant or None): k for k, (tenant, item) in enumerate(names) if k not in but}
    for batch in batches(rows, 1_000):
        with translated():
            found = client.retrieve(space.items, batch, with_payload=[Key.POPULARITY])
        for record in found:
            yield rows[str(record.id)], float((record.payload or {}).get(Key.POPULARITY) or 0.0)


def _write(client: QdrantClient, space: Space, rows: Mapping[str, models.SparseVector]) -> None:
    vectors = [models.PointVectors(id=point, vector={COLLAB: row}) for point, row in rows.items() if row.indices]
    store.write_existing(client, space.items, vectors)
    _clear(client, space, [point for point, row in rows.items() if not row.indices])


def mark_due(client: QdrantClient, space: Space, config: SpaceConfig, events: Sequence[models.Record]) -> None:
    """Note which items' collab leg changes with a user's new events, all of them given newest first.

    The newest counts as new, since another version of the space may have marked it as folded.
    """
    taken = [event for event in events if _counts(event.payload or {}, config)]
    new = [k for k, event in enumerate(taken) if k == 0 or not (event.payload or {}).get(Key.FOLDED)]
    near = {item_point(one) for k in new for one in taken[max(k - WINDOW, 0) : k + WINDOW + 1]}
    if near:
        with translated():
            client.set_payload(
                space.items, {Key.COLLAB_SINCE: now()}, points=conditions.where(conditions.has_id(*near)), wait=True
            )


def _not_due(client: QdrantClient, space: Space, since: str, points: Sequence[str] = ()) -> None:
    """What became due before ``since`` is done: of these items, or of all."""
    done = models.FieldCondition(key=Key.COLLAB_SINCE, range=models.DatetimeRange(lte=since))
    which = conditions.where(done, *([conditions.has_id(*points)] if points else []))
    with translated():
        client.set_payload(space.items, {Key.COLLAB_SINCE: None}, points=which, wait=True)


def due(client: QdrantClient, space: Space) -> list[str]:
    """Item points for one :func:`refit`, longest due first: what ``USERS`` users bear, and nothing very popular.

    One event changes a popular item little: it waits for the next :func:`fit`.
    """
    waits = conditions.where(
        models.FieldCondition(key=Key.COLLAB_SINCE, range=models.DatetimeRange(lte=now())),
        models.FieldCondition(key=Key.POPULARITY, range=models.Range(lte=POPULAR)),
    )
    order = models.OrderBy(key=Key.COLLAB_SINCE, direction=models.Direction.ASC)
    with translated():
        found, _ = client.scroll(
            space.items, scroll_filter=waits, order_by=order, limit=MAX_BATCH, with_payload=[Key.POPULARITY]
        )
    load = np.cumsum([1 + float((one.payload or {}).get(Key.POPULARITY) or 0) for one in found])
    return [str(one.id) for one, bearing in zip(found, load, strict=True) if bearing <= USERS]


def _write_popularity(client: QdrantClient, space: Space, points: list[str], popularity: np.ndarray) -> None:
    """One operation per number of users, not per item: most items share few numbers, and each operation costs 1 ms."""
    by_value: dict[float, list[str]] = {}
    for point, value in zip(points, popularity.tolist(), strict=True):
        by_value.setdefault(float(value), []).append(point)
    for value, ids in by_value.items():
        for batch in batches(ids, 1_000):
            with translated():
                client.set_payload(
                    space.items, {Key.POPULARITY: value}, points=conditions.where(conditions.has_id(*batch)), wait=True
                )


def _clear(client: QdrantClient, space: Space, points: list[str]) -> None:
    if points:
        with translated():
            client.delete_vectors(
                space.items, [COLLAB], models.FilterSelector(filter=conditions.where(conditions.has_id(*points)))
            )


def _forget_others(client: QdrantClient, space: Space, fitted: set[str]) -> None:
    """Items that were popular once and have no event left, as after a user was forgotten."""
    popular = conditions.where(models.FieldCondition(key=Key.POPULARITY, range=models.Range(gt=0)))
    for page in store.scroll(client, space.items, popular, False):
        gone = [str(record.id) for record in page if str(record.id) not in fitted]
        if gone:
            _clear(client, space, gone)
            with translated():
                client.set_payload(
                    space.items, {Key.POPULARITY: 0.0}, points=conditions.where(conditions.has_id(*gone)), wait=True
                )
