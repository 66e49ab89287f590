"""How good are the lists of a space? Hide what users took last, and ask for it; see :mod:`workers.trial`.

Measures per list come from pytrec_eval (trec_eval's code, Van Gysel & de Rijke 2018), intervals and significance from
scipy; what neither has (coverage, novelty, intra-list diversity) is here.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from qdrant_client import QdrantClient

from llmrec_qdrant.contracts.config import LEGS, SpaceConfig
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.operations.translate import translated
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.recommender import Recommender
from llmrec_qdrant.space.conditions import tenant_filter
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import DENSE, Space

from ..behaviour import cooccurrence
from ..behaviour.vectors import normalised
from ..items.interactions import read_interactions
from ..storage import store
from ..storage.store import SpaceStore
from .metrics import FEW, interval, measures, p_value
from .splits import Split, Target, hide_last
from .trial_space import Tell, lists, payloads, trial, unheard

__all__ = ["Evaluation", "Row", "evaluate", "ndcg_of"]


@dataclass(frozen=True)
class Row:
    """One way to recommend. Means over users; ``low`` and ``high`` are the bootstrap interval (95 %) of NDCG."""

    name: str
    hr: float
    recall: float
    ndcg: float
    mrr: float
    map: float
    low: float
    high: float
    users: int
    p: float | None = None
    """Chance of an NDCG difference to ``recommend`` as large as this if there were none (paired permutation test)."""
    coverage: float | None = None
    """Share of the catalogue that stands in any list; None for a part of the users."""
    novelty: float | None = None
    """Mean of -log2 of the share of users who took an item; more is less popular (Zhou et al. 2010)."""
    diversity: float | None = None
    """Mean of 1 - cosine of the dense vectors of two items of one list (Ziegler et al. 2005)."""


@dataclass
class Evaluation:
    """Rows of the table."""

    limit: int
    users: int
    rows: list[Row] = field(default_factory=list)


def ndcg_of(client: QdrantClient, made: Space, targets: Sequence[Target], limit: int, **options: Any) -> np.ndarray:
    """NDCG of the list that each target gets in a trial space; ``options`` are those of ``recommend``."""
    found = lists(client, made, targets, limit, unheard, "", **options)
    return measures([[one.id for one in some] for some in found], [one.items for one in targets], limit)["ndcg"]


def evaluate(
    client: QdrantClient,
    space: Space,
    config: SpaceConfig,
    *,
    users: int = 500,
    limit: int = 10,
    seed: int = 0,
    split: Callable[..., Split] = hide_last,
    tenant: str | None = None,
    tell: Tell = unheard,
) -> Evaluation:
    """Measure the space with its own configuration, beside popularity and each leg alone.

    ``split`` is :func:`~workers.trial.hide_last` or :func:`~workers.trial.hide_latest`; with a ``tenant`` only its users
    are asked. Raises :class:`InvalidInput` where no user has taken two items.
    """
    parts = split(payloads(client, space, tenant), config, users, seed)
    with trial(client, space, config, parts, tell) as made:
        catalogue = store.count(client, made.items, tenant_filter(tenant))
        return _measure(client, made, config, parts.targets, limit, catalogue, tell)


def _measure(
    client: QdrantClient, made: Space, config: SpaceConfig, targets: Sequence[Target], limit: int, catalogue: int,
    tell: Tell,
) -> Evaluation:  # fmt: skip
    found = read_interactions(SpaceStore(client, made), config)
    share = dict(zip(found.names, found.popularity / max(len(set(found.users.tolist())), 1), strict=True))
    result = Evaluation(limit, len(targets))
    ndcg: dict[str, np.ndarray] = {}
    wanted = [one.items for one in targets]
    ways: dict[str, dict[str, Mapping[str, float]]] = {
        "recommend": {}, **{f"{leg} alone": {"weights": {leg: 1}} for leg in LEGS},
    }  # fmt: skip
    shown: dict[str, list[list[str]]] = {
        name: [[item.id for item in listed] for listed in lists(client, made, targets, limit, tell, name, **options)]
        for name, options in ways.items()
    }
    shown["most popular"] = _popular(client, made, targets, found, limit)
    cosines = _Vectors(client, made)
    for name, some in shown.items():
        values = measures(some, wanted, limit)
        ndcg[name] = values["ndcg"]
        pairs = [[(one.tenant, item) for item in items] for one, items in zip(targets, some, strict=True)]
        coverage, novelty = _reach([pair for listed in pairs for pair in listed], share, catalogue)
        row = replace(_row(name, values), coverage=coverage, novelty=novelty, diversity=cosines.diversity(pairs))
        result.rows.append(row if name == "recommend" else replace(row, p=p_value(ndcg["recommend"], ndcg[name])))
    values = measures(shown["recommend"], wanted, limit)
    for name, mine in (
        ("recommend, items without events", [all((one.tenant, item) not in share for item in one.items) for one in targets]),
        (f"recommend, users with at most {FEW} events", [one.events_before <= FEW for one in targets]),
    ):  # fmt: skip
        if any(mine):
            result.rows.append(_row(name, {key: value[np.array(mine)] for key, value in values.items()}))
    return result


def _popular(
    client: QdrantClient, made: Space, targets: Sequence[Target], found: cooccurrence.Interactions, limit: int
) -> list[list[str]]:
    """What somebody unknown gets, without what the user has taken."""
    nobody = f"nobody {uuid.uuid4()}"
    common = {
        tenant: [one.id for one in Recommender(client, NoQueue(), made.name, tenant or None).recommend(nobody, 1_000)]
        for tenant in {one.tenant for one in targets}
    }
    taken: dict[tuple[str, str], set[str]] = {}
    for user, item in zip(found.users.tolist(), found.items.tolist(), strict=True):
        taken.setdefault(found.owners[user], set()).add(found.names[item][1])
    seen = [taken.get((one.tenant, one.user), set()) for one in targets]
    return [
        [item for item in common[one.tenant] if item not in mine][:limit]
        for one, mine in zip(targets, seen, strict=True)
    ]


def _row(name: str, values: Mapping[str, np.ndarray]) -> Row:
    low, high = interval(values["ndcg"])
    means = {key: float(value.mean()) for key, value in values.items()}
    return Row(name, **means, low=low, high=high, users=len(values["ndcg"]))


def _reach(
    listed: Sequence[tuple[str, str]], share: Mapping[tuple[str, str], float], catalogue: int
) -> tuple[float, float]:
    """Coverage and novelty."""
    rarest = min((value for value in share.values() if value > 0), default=1.0)
    novelty = float(np.mean([-math.log2(share.get(one) or rarest) for one in listed])) if listed else 0.0
    return len(set(listed)) / max(catalogue, 1), novelty


class _Vectors:
    """Dense unit vectors of listed items, each read once."""

    def __init__(self, client: QdrantClient, made: Space) -> None:
        self._client, self._items = client, made.items
        self._rows: dict[tuple[str, str], np.ndarray | None] = {}

    def diversity(self, listed: Iterable[Sequence[tuple[str, str]]]) -> float | None:
        """Mean intra-list distance of the lists with two vectors or more; None if there is none."""
        known = [list(some) for some in listed]
        self._read({pair for some in known for pair in some if pair not in self._rows})
        distances = []
        for some in known:
            rows = [row for pair in some if (row := self._rows[pair]) is not None]
            if len(rows) > 1:
                unit = normalised(np.array(rows))
                cosines = unit @ unit.T
                distances.append(1 - float(cosines[np.triu_indices(len(rows), 1)].mean()))
        return float(np.mean(distances)) if distances else None

    def _read(self, pairs: Iterable[tuple[str, str]]) -> None:
        for batch in batches(pairs, 1_000):
            points = {point_id("item", item, tenant or None): (tenant, item) for tenant, item in batch}
            self._rows.update(dict.fromkeys(batch, None))
            with translated():
                found = self._client.retrieve(self._items, list(points), with_payload=False, with_vectors=[DENSE])
            for record in found:
                vector = record.vector.get(DENSE) if isinstance(record.vector, dict) else None
                if vector:
                    self._rows[points[str(record.id)]] = np.asarray(vector, dtype=np.float32)
