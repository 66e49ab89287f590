"""A copy of a space that knows the past only, for measuring and for choosing settings.

The split comes first; whatever is fitted (co-occurrence, popularity, users' vectors) is made anew in the trial space,
which holds the items with what their text gives and the events that are not hidden. It is deleted at the end; what a
kill leaves behind, by the next trial or look of a worker after an hour without a sign of life.
"""

from __future__ import annotations

import math
import random
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from qdrant_client import QdrantClient, models

from llmrec_qdrant import admin
from llmrec_qdrant.contracts import Recommendation, SpaceConfig
from llmrec_qdrant.effects import drive
from llmrec_qdrant.errors import InvalidInput, SpaceNotFound
from llmrec_qdrant.ids import point_id
from llmrec_qdrant.jobs import NoQueue
from llmrec_qdrant.layout import DENSE, KINDS, TFIDF, TRIAL, CollectionKind, Key, Space
from llmrec_qdrant.query import tenant_filter
from llmrec_qdrant.recommender import Recommender
from llmrec_qdrant.translate import translated
from llmrec_qdrant.versions import versions
from llmrec_qdrant.writes import batches, by_size, iso, now, timestamp
from workers import collab, profiles, store
from workers.reconcile import make_users
from workers.weights import event_weight

__all__ = [
    "Split",
    "Target",
    "Tell",
    "fold",
    "hide_last",
    "hide_latest",
    "hide_next",
    "lists",
    "payloads",
    "running",
    "sign_of_life",
    "trial",
    "unheard",
]

Tell = Callable[[str, float, float], None]
"""Hears what is done, how much of it, and out of how much."""


def unheard(what: str, done: float, total: float) -> None:
    """A :data:`Tell` that nobody listens to."""


THREADS = 4
"""Requests under way at once on a server."""
QUIET = timedelta(hours=1)
"""A trial space without a sign of life for so long has lost its owner: fits of ten million events take minutes."""


@dataclass(frozen=True)
class Target:
    """Somebody, and what they took after the moment from which their events are hidden."""

    user: str
    tenant: str
    items: tuple[str, ...]
    events_before: int


@dataclass(frozen=True)
class Split:
    """Targets, and which events nobody may see."""

    targets: tuple[Target, ...]
    hidden_from: Mapping[tuple[str, str], float]
    """(tenant, user) → Unix seconds from which on their events are hidden."""
    everybody_from: float = math.inf
    """The same for all users."""
    known_until: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Until when a user's hidden events stand in their history nevertheless: nothing is fitted on them."""

    @property
    def in_time(self) -> bool:
        """Whether histories are fresher than what is fitted: times are compared between users."""
        return bool(self.known_until)

    def recent(self, event: Mapping[str, Any]) -> bool:
        """Whether the payload of an event is hidden from all that is fitted, and known of the user who is asked about."""
        return self.hides(event) and timestamp(event[Key.TS]) < self.known_until.get(_who(event), -math.inf)

    def hides(self, event: Mapping[str, Any]) -> bool:
        """Whether the payload of an event belongs to the future."""
        since = self.hidden_from.get(_who(event), math.inf)
        return timestamp(event[Key.TS]) >= min(since, self.everybody_from)


def _who(event: Mapping[str, Any]) -> tuple[str, str]:
    """(tenant, user) of the payload of an event."""
    return event.get(Key.TENANT) or "", event[Key.USER_ID]


@dataclass
class _Histories:
    """Per (tenant, user): items and when they were taken (for the first time, or ever), and the moments of all events."""

    taken: dict[tuple[str, str], list[tuple[str, float]]]
    moments: dict[tuple[str, str], list[float]]

    def latest(self, share: float) -> float:
        """The moment from which on ``share`` of all events lie; infinite without events."""
        moments = sorted(moment for some in self.moments.values() for moment in some)
        return moments[min(int(len(moments) * (1 - share)), len(moments) - 1)] if moments else math.inf

    def target(self, who: tuple[str, str], items: Iterable[str], since: float) -> Target:
        before = sum(moment < since for moment in self.moments[who])
        return Target(who[1], who[0], tuple(sorted(items)), before)


def _read(events: Iterable[Mapping[str, Any]], config: SpaceConfig, repeats: bool = False) -> _Histories:
    taken: dict[tuple[str, str], dict[tuple[str, float], float]] = {}
    moments: dict[tuple[str, str], list[float]] = {}
    for event in events:
        who = _who(event)
        moment = timestamp(event[Key.TS])
        moments.setdefault(who, []).append(moment)
        item = event.get(Key.ITEM_ID)
        if item and event_weight(event[Key.TYPE], event.get(Key.VALUE), config) > 0:
            mine, key = taken.setdefault(who, {}), (item, moment if repeats else 0.0)
            mine[key] = min(moment, mine.get(key, moment))
    found = {who: [(item, moment) for (item, _), moment in mine.items()] for who, mine in taken.items()}
    return _Histories(found, moments)


def hide_last(
    events: Iterable[Mapping[str, Any]],
    config: SpaceConfig,
    users: int,
    seed: int = 0,
    hide: int = 1,
    *,
    repeats: bool = False,
) -> Split:
    """Leave-n-out: the ``hide`` items that users took last for the first time, and all their events since.

    With ``repeats`` also what they had taken before: just the last they took.

    They are hidden of everybody, though only random users are asked about: else the others tell what is new, and the
    co-occurrence looks better than it is. Of items first taken at the same moment random ones come first: the order of
    ids must not decide. A user needs an item from before the hidden ones.
    """
    found = _read(events, config, repeats)
    targets: list[Target] = []
    hidden: dict[tuple[str, str], float] = {}
    able = sorted(
        who for who, takes in found.taken.items() if len({moment for _, moment in takes}) > 1 and len(takes) > hide
    )
    random.Random(seed).shuffle(able)
    for who in able:
        chance = random.Random(f"{seed} {who}")
        order = sorted(found.taken[who], key=lambda pair: (pair[1], pair[0]))
        chance.shuffle(order)
        order.sort(key=lambda pair: pair[1])
        since = order[-hide][1]
        if order[0][1] < since:
            hidden[who] = since
            if len(targets) < users:
                targets.append(found.target(who, {item for item, _ in order[-hide:]}, since))
    return Split(tuple(targets), hidden)


def hide_latest(
    events: Iterable[Mapping[str, Any]], config: SpaceConfig, users: int, seed: int = 0, share: float = 0.1
) -> Split:
    """Temporal: everybody's events from the moment on after which ``share`` of all events lie.

    Targets are the items that random users with a past took for the first time since.
    """
    found = _read(events, config)
    since = found.latest(share)
    new = {
        who: [item for item, moment in takes if moment >= since]
        for who, takes in found.taken.items()
        if min(moment for _, moment in takes) < since
    }
    able = sorted(who for who, items in new.items() if items)
    chosen = random.Random(seed).sample(able, min(users, len(able)))
    return Split(tuple(found.target(who, new[who], since) for who in chosen), {}, since)


def hide_next(
    events: Iterable[Mapping[str, Any]],
    config: SpaceConfig,
    users: int,
    seed: int = 0,
    share: float = 0.1,
    *,
    repeats: bool = False,
) -> Split:
    """What random users took at a random moment of the latest ``share`` of all events, on which nothing is fitted.

    They are asked about as of then, with all they did before: models are as old as that share, and histories as fresh as
    when a list is asked for. What users took *last* is another question: it is what they took nothing after. With ``repeats``
    a target may be something its user took before. A user needs an event from before their target.
    """
    found = _read(events, config, repeats)
    since = found.latest(share)
    late: dict[tuple[str, str], float] = {}
    for who, takes in found.taken.items():
        moments = sorted({moment for _, moment in takes if moment >= since and moment > min(found.moments[who])})
        if moments:
            late[who] = random.Random(f"{seed} {who}").choice(moments)
    able = sorted(late)
    chosen = random.Random(seed).sample(able, min(users, len(able)))
    targets = tuple(
        found.target(who, {item for item, moment in found.taken[who] if moment == late[who]}, late[who])
        for who in chosen
    )
    return Split(targets, {}, since, {who: late[who] for who in chosen})


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
    for page in store.scroll(client, space.events, mine, collab.WANTED):
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
        drive(admin.build_collection("items", made.versioned("items"), config, mark), client, NoQueue())
        drive(admin.create(made, config), client, NoQueue())
        pinned = space if space.version else space.at(drive(versions(space), client, NoQueue()).live)
        for kind in ("items", "texts"):
            _copy(client, pinned, made, config, kind, tell, blank=blank)
        _copy(client, pinned, made, config, "events", tell, known=lambda event: not split.hides(event))
        if blank:  # vectors will be replaced again and again: no graph is ever worth building, and half of one misleads
            with translated():
                client.update_collection(
                    made.items, optimizers_config=models.OptimizersConfigDiff(indexing_threshold=0)
                )
        collab.fit(client, made, config)
        if split.in_time:
            late = models.DatetimeRange(gte=datetime.fromtimestamp(split.everybody_from, UTC))
            among = store.where(models.FieldCondition(key=Key.TS, range=late))
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
        make_users(client, made, owners)
        profiles.refresh(client, made, config, list(owners))
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
