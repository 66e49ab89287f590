"""How good are the lists of a space? Hide the last thing that users took, and ask for it.

The split comes first: of each sampled user the last event about an item they had not taken before is the target, and
that user's events from then on are hidden. A trial space gets a copy of the items with their vectors and all events
that are left; co-occurrence, popularity and user vectors are made there anew, so whatever is fitted sees the past only.
The lists are those of :meth:`Recommender.recommend`. The trial space is deleted at the end.
"""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models
from scipy import stats

from llmrec_qdrant import admin
from llmrec_qdrant.contracts import LEGS, SpaceConfig
from llmrec_qdrant.effects import drive
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.ids import point_id
from llmrec_qdrant.jobs import NoQueue
from llmrec_qdrant.layout import KINDS, CollectionKind, Key, Space
from llmrec_qdrant.recommender import Recommender
from llmrec_qdrant.translate import translated
from llmrec_qdrant.writes import batches, timestamp
from workers import collab, profiles, store
from workers.profiles import event_weight
from workers.reconcile import make_users

__all__ = ["Evaluation", "Row", "Target", "evaluate", "measures", "split"]

FEW = 3
"""A user with so many events or fewer is cold."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Target:
    """What a user took last, and since when their events are hidden."""

    user: str
    tenant: str
    item: str
    ts: float
    events_before: int


@dataclass(frozen=True)
class Row:
    """One way to recommend. Means over users; ``low`` and ``high`` are the bootstrap interval (95 %) of NDCG."""

    name: str
    hr: float
    ndcg: float
    mrr: float
    low: float
    high: float
    users: int
    coverage: float | None = None
    """Share of the catalogue that stands in any list; None for a part of the users."""
    novelty: float | None = None
    """Mean of -log2 of the share of users who took an item; more is less popular (Zhou et al. 2010)."""


@dataclass
class Evaluation:
    """Rows of the table."""

    limit: int
    users: int
    rows: list[Row] = field(default_factory=list)


def split(events: Iterable[dict[str, Any]], config: SpaceConfig, users: int, seed: int = 0) -> list[Target]:
    """The targets of a random sample of users who took at least two different items."""
    taken: dict[tuple[str, str], dict[str, float]] = {}
    counts: dict[tuple[str, str], list[float]] = {}
    for event in events:
        who = event.get(Key.TENANT) or "", event[Key.USER_ID]
        moment = timestamp(event[Key.TS])
        counts.setdefault(who, []).append(moment)
        item = event.get(Key.ITEM_ID)
        if item and event_weight(event[Key.TYPE], event.get(Key.VALUE), config) > 0:
            first = taken.setdefault(who, {})
            first[item] = min(moment, first.get(item, math.inf))
    able = sorted(who for who, items in taken.items() if len(items) > 1 and len(set(items.values())) > 1)
    chosen = random.Random(seed).sample(able, min(users, len(able)))
    found = []
    for who in chosen:
        latest = max(taken[who].values())
        # of items first taken at the same moment, a random one: the order of ids must not decide
        names = sorted(item for item, moment in taken[who].items() if moment == latest)
        item = random.Random(f"{seed} {who}").choice(names)
        before = sum(moment < latest for moment in counts[who])
        found.append(Target(who[1], who[0], item, latest, before))
    return found


def measures(places: np.ndarray) -> dict[str, np.ndarray]:
    """Per list, from the place of its one target (from 1; infinite if absent).

    HR 1 or 0; NDCG 1 / log2(place + 1) (Järvelin & Kekäläinen 2002); MRR 1 / place.

    >>> {name: values.round(3).tolist() for name, values in measures(np.array([1, 3, np.inf])).items()}
    {'hr': [1.0, 1.0, 0.0], 'ndcg': [1.0, 0.5, 0.0], 'mrr': [1.0, 0.333, 0.0]}
    """
    return {"hr": np.isfinite(places).astype(float), "ndcg": 1 / np.log2(places + 1), "mrr": 1 / places}


def evaluate(
    client: QdrantClient,
    space: Space,
    config: SpaceConfig,
    *,
    users: int = 500,
    limit: int = 10,
    seed: int = 0,
    tell: Callable[[str, float, float], None] = lambda what, done, total: None,
) -> Evaluation:
    """Measure the space with its own configuration, beside popularity and each leg alone.

    ``tell`` hears what is done, how much of it, and out of how much. Raises :class:`InvalidInput` where no user has
    taken two items.
    """
    wanted = [Key.USER_ID, Key.ITEM_ID, Key.TENANT, Key.TS, Key.TYPE, Key.VALUE]
    pages = store.scroll(client, space.events, None, wanted)
    targets = split((record.payload or {} for page in pages for record in page), config, users, seed)
    if not targets:
        raise InvalidInput(
            f"space {space.name!r} has no user who took two items at different times: load more events first"
        )
    trial = Space(f"{space.name[:45]}-trial-{uuid.uuid4().hex[:8]}")  # nobody's own
    try:
        drive(admin.create(trial, config), client, NoQueue())
        _fill(client, space, trial, targets, tell)
        collab.fit(client, trial, config)
        _fold(client, trial, config, targets, tell)
        return _measure(client, trial, config, targets, limit, tell)
    finally:
        for kind in KINDS:
            with translated():
                client.delete_collection(trial.versioned(kind))


def _fill(
    client: QdrantClient,
    space: Space,
    trial: Space,
    targets: Sequence[Target],
    tell: Callable[[str, float, float], None],
) -> None:
    hidden_from = {(one.tenant, one.user): one.ts for one in targets}
    copied: tuple[CollectionKind, ...] = ("items", "texts", "events")
    for kind in copied:
        total, done = store.count(client, space.collection(kind)), 0
        for page in store.scroll(client, space.collection(kind), None, True, vectors=True):
            points = [
                models.PointStruct(id=one.id, vector=one.vector or {}, payload=one.payload or {})
                for one in page
                if kind != "events" or not _hidden(one.payload or {}, hidden_from)
            ]
            if points:
                with translated():
                    client.upsert(trial.collection(kind), points, wait=True)
            done += len(page)
            tell(f"copying {kind}", done, total)


def _hidden(event: dict[str, Any], hidden_from: dict[tuple[str, str], float]) -> bool:
    since = hidden_from.get((event.get(Key.TENANT) or "", event[Key.USER_ID]), math.inf)
    return timestamp(event[Key.TS]) >= since


def _fold(
    client: QdrantClient, trial: Space, config: SpaceConfig, targets: Sequence[Target],
    tell: Callable[[str, float, float], None],
) -> None:  # fmt: skip
    done = 0
    for batch in batches(targets, 64):
        owners = {
            point_id("user", one.user, one.tenant or None): {Key.USER_ID: one.user, Key.TENANT: one.tenant}
            for one in batch
        }
        make_users(client, trial, owners)
        profiles.refresh(client, trial, config, list(owners))
        done += len(batch)
        tell("folding users", done, len(targets))


def _measure(
    client: QdrantClient, trial: Space, config: SpaceConfig, targets: Sequence[Target], limit: int,
    tell: Callable[[str, float, float], None],
) -> Evaluation:  # fmt: skip
    by_tenant = {one.tenant: Recommender(client, NoQueue(), trial.name, one.tenant or None) for one in targets}
    found = collab.read_interactions(client, trial, config)
    share = dict(zip(found.names, found.popularity / max(len(set(found.users.tolist())), 1), strict=True))
    catalogue = store.count(client, trial.items)
    ways: dict[str, dict[str, Any]] = {"recommend": {}, **{f"{leg} alone": {"weights": {leg: 1}} for leg in LEGS}}
    result = Evaluation(limit, len(targets))
    places: dict[str, np.ndarray] = {}

    def add(name: str, lists: Sequence[Sequence[str]]) -> None:
        places[name] = _places(targets, lists)
        tenants = [one.tenant for one in targets]
        listed = [(tenant, item) for tenant, items in zip(tenants, lists, strict=True) for item in items]
        coverage, novelty = _reach(listed, share, catalogue)
        result.rows.append(replace(_row(name, places[name]), coverage=coverage, novelty=novelty))

    for name, options in ways.items():
        lists = []
        for number, one in enumerate(targets, start=1):
            lists.append([item.id for item in by_tenant[one.tenant].recommend(one.user, limit, **options)])
            tell(name, number, len(targets))
        add(name, lists)
    nobody = f"nobody {uuid.uuid4()}"  # unknown users get what is popular
    common = {tenant: [item.id for item in rec.recommend(nobody, 1_000)] for tenant, rec in by_tenant.items()}
    taken: dict[tuple[str, str], set[str]] = {}
    for user, item in zip(found.users.tolist(), found.items.tolist(), strict=True):
        taken.setdefault(found.owners[user], set()).add(found.names[item][1])
    seen = [taken.get((one.tenant, one.user), set()) for one in targets]
    lists = [
        [item for item in common[one.tenant] if item not in mine][:limit]
        for one, mine in zip(targets, seen, strict=True)
    ]
    add("popularity", lists)
    for name, mine in (
        ("recommend, items without events", [(one.tenant, one.item) not in share for one in targets]),
        (f"recommend, users with at most {FEW} events", [one.events_before <= FEW for one in targets]),
    ):
        if any(mine):
            result.rows.append(_row(name, places["recommend"][np.array(mine)]))
    return result


def _places(targets: Sequence[Target], lists: Sequence[Sequence[str]]) -> np.ndarray:
    return np.array(
        [
            listed.index(one.item) + 1 if one.item in listed else np.inf
            for one, listed in zip(targets, lists, strict=True)
        ]
    )


def _row(name: str, places: np.ndarray) -> Row:
    values = measures(places)
    low, high = _interval(values["ndcg"])
    means = {key: float(value.mean()) for key, value in values.items()}
    return Row(name, **means, low=low, high=high, users=len(places))


def _reach(
    listed: Sequence[tuple[str, str]], share: Mapping[tuple[str, str], float], catalogue: int
) -> tuple[float, float]:
    """Coverage and novelty."""
    rarest = min((value for value in share.values() if value > 0), default=1.0)
    novelty = float(np.mean([-math.log2(share.get(one) or rarest) for one in listed])) if listed else 0.0
    return len(set(listed)) / max(catalogue, 1), novelty


def _interval(values: np.ndarray) -> tuple[float, float]:
    if len(values) < 2 or np.ptp(values) == 0:
        return float(values.mean()), float(values.mean())
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=1_000, confidence_level=CONFIDENCE, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)
