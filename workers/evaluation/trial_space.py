"""A copy of a space that knows the past only, for measuring and for choosing settings.

The split comes first; whatever is fitted (co-occurrence, popularity, users' vectors) is made anew in the trial space,
which holds the items with what their text gives and the events that are not hidden. It is deleted at the end; what a
kill leaves behind, by the next trial or look of a worker after an hour without a sign of life.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from qdrant_client import QdrantClient, models

from llmrec_qdrant.contracts.answers import Recommendation
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import InvalidInput, SpaceNotFound
from llmrec_qdrant.operations import spaces
from llmrec_qdrant.operations.batching import batches, by_size
from llmrec_qdrant.operations.clock import iso, now
from llmrec_qdrant.operations.steps import drive
from llmrec_qdrant.operations.translate import translated
from llmrec_qdrant.operations.versions import versions
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.recommender import Recommender
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.conditions import tenant_filter
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import DENSE, KINDS, TFIDF, TRIAL, CollectionKind, Key, Space

from ..items import collab
from ..items.interactions import EVENT_KEYS
from ..reconcile import create_users
from ..storage import store
from ..storage.store import SpaceStore
from ..users import refresh
from .splits import Split, Target

__all__ = ["Tell", "fold", "lists", "payloads", "running", "sign_of_life", "trial", "unheard"]


Tell = Callable[[str, float, float], None]
"""Hears what is done, how much of it, and out of how much."""


def unheard(what: str, done: float, total: float) -> None:
    """A :data:`Tell` that nobody listens to."""


THREADS = 4
"""Requests under way at once on a server."""


QUIET = timedelta(hours=1)
"""A trial space without a sign of life for so long has lost its owner: fits of ten million events take minutes."""


def payloads(client: QdrantClient, space: Space, tenant: str | None = None) -> Iterator[dict[str, Any]]:
    """What a split needs to know of all events, or of those of a tenant.

    An item that was deleted since is left out of its event: no list can hold it.
    """
    mine = tenant_filter(tenant)
    there = {
        ((one.payload or {}).get(Key.TENANT) or "", (one.payload or {})[Key.ITEM_ID])
        for page in store.scroll(client, space.items, mine, [Key.TENANT, Key.ITEM_ID])
        for one in page
    }
    for page in store.scroll(client, space.events, mine, EVENT_KEYS):
        for payload in (record.payload or {} for record in page):
            gone = (payload.get(Key.TENANT) or "", payload.get(Key.ITEM_ID)) not in there
            yield {**payload, Key.ITEM_ID: None} if gone else payload


@contextmanager
def trial(
    client: QdrantClient,
    space: Space,
    config: SpaceConfig,
    split: Split,
    tell: Tell,
    *,
    blank: bool = False,
) -> Iterator[Space]:
    """A space under a name nobody else has, with everything but what ``split`` hides; the targets' users are folded.

    ``blank``: items and texts have no dense vectors yet and users are not folded, as ``config`` has another model than
    ``space``.
    Raises :class:`InvalidInput` where there is no target.
    """
    if not split.targets:
        raise InvalidInput(
            f"space {space.name!r} has no user who took two items it holds at different times, one of them before all "
            "that is hidden: load items and more events first, or hide less"
        )
    running(client)
    made = Space(f"{space.name[:45]}-trial-{uuid.uuid4().hex[:8]}")
    try:
        mark = {TRIAL: {"at": now()}}  # there from the first moment on, and, with the items, to the last
        drive(spaces.build_collection("items", made.versioned("items"), config, mark), client, NoQueue())
        drive(spaces.create(made, config), client, NoQueue())
        pinned = space if space.version else space.at(drive(versions(space), client, NoQueue()).live)
        for kind in ("items", "texts"):
            _copy(client, pinned, made, config, kind, tell, blank=blank)
        _copy(client, pinned, made, config, "events", tell, known=lambda event: not split.hides(event))
        if blank:  # vectors will be replaced again and again: no graph is ever worth building, and half of one misleads
            with translated():
                client.update_collection(
                    made.items, optimizers_config=models.OptimizersConfigDiff(indexing_threshold=0)
                )
        collab.fit(SpaceStore(client, made), config)
        if split.in_time:
            late = models.DatetimeRange(gte=datetime.fromtimestamp(split.everybody_from, UTC))
            among = conditions.where(models.FieldCondition(key=Key.TS, range=late))
            _copy(client, pinned, made, config, "events", tell, known=split.recent, among=among)
        if not blank:
            fold(client, made, config, split.targets, tell)
        yield made
    finally:
        _drop(client, made)


def _drop(client: QdrantClient, made: Space) -> None:
    for kind in reversed(KINDS):
        with translated():
            client.delete_collection(made.versioned(kind))


def sign_of_life(client: QdrantClient, made: Space) -> None:
    """Say that somebody still works with a trial space; to be said every few minutes."""
    with translated():
        client.update_collection(made.versioned("items"), metadata={TRIAL: {"at": now()}})


def running(client: QdrantClient) -> set[Space]:
    """The trial spaces somebody works on; those whose owner was killed are deleted on the way."""
    found: set[Space] = set()
    with translated():
        names = [one.name for one in client.get_collections().collections]
    for name in names:
        like = re.fullmatch(r"(.+-trial-[0-9a-f]{8})_items_v1", name)
        mark = _mark(client, name) if like else None  # a space may be called so and be no trial
        if like and mark:
            space = Space(like[1])
            if mark["at"] < iso(datetime.now(UTC) - QUIET):
                _drop(client, space)
            else:
                found.add(space)
    return found


def _mark(client: QdrantClient, collection: str) -> dict[str, Any] | None:
    try:
        with translated():
            return (client.get_collection(collection).config.metadata or {}).get(TRIAL)
    except SpaceNotFound:  # deleted meanwhile
        return None


def _copy(
    client: QdrantClient, space: Space, made: Space, config: SpaceConfig, kind: CollectionKind, tell: Tell, *,
    blank: bool = False, known: Callable[[Mapping[str, Any]], bool] = lambda _: True, among: models.Filter | None = None,
) -> None:  # fmt: skip
    """Copy what is ``known`` ``among`` a collection's points; what is fitted on events is not even read."""
    unread = models.PayloadSelectorExclude(exclude=[Key.TEXT, Key.POPULARITY, Key.COLLAB_SINCE])
    total, done = store.count(client, space.collection(kind), among), 0
    legs = () if kind == "events" else (TFIDF,) if blank else (DENSE, TFIDF)
    start = {Key.POPULARITY: 0.0} if kind == "items" else {}
    for page in store.scroll(client, space.collection(kind), among, unread if kind == "items" else True, legs):
        points = [
            models.PointStruct(id=one.id, vector=one.vector or {}, payload={**(one.payload or {}), **start})
            for one in page
            if known(one.payload or {})
        ]
        for part in by_size(points, lambda one: 24 * config.size + len((one.payload or {}).get(Key.TEXT) or "")):
            with translated():
                client.upsert(made.collection(kind), part, wait=True)
        sign_of_life(client, made)
        done += len(page)
        tell(f"copying {kind}", done, total)


def fold(client: QdrantClient, made: Space, config: SpaceConfig, targets: Sequence[Target], tell: Tell) -> None:
    """Make the vectors of the targets' users, as ``config`` says."""
    done = 0
    for batch in batches(targets, 64):
        owners = {
            point_id("user", one.user, one.tenant or None): {Key.USER_ID: one.user, Key.TENANT: one.tenant}
            for one in batch
        }
        sign_of_life(client, made)
        create_users(SpaceStore(client, made), owners)
        refresh.refresh(SpaceStore(client, made), config, list(owners))
        done += len(batch)
        tell("folding users", done, len(targets))


def lists(
    client: QdrantClient, made: Space, targets: Sequence[Target], limit: int, tell: Tell, what: str, **options: Any
) -> list[list[Recommendation]]:
    """What :meth:`Recommender.recommend` gives each target."""
    sign_of_life(client, made)
    recs = {one.tenant: Recommender(client, NoQueue(), made.name, one.tenant or None) for one in targets}
    for rec in recs.values():
        _ = rec.config  # read once, before threads ask for it
    found: list[list[Recommendation]] = []

    def ask(one: Target) -> list[Recommendation]:
        return recs[one.tenant].recommend(one.user, limit, **options)

    with ThreadPoolExecutor(THREADS if store.remote(client) else 1) as pool:
        for one in pool.map(ask, targets):
            found.append(one)
            tell(what, len(found), len(targets))
    return found
