"""Folds the users of a trial space and requests their lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from llmrec_qdrant.contracts.answers import Recommendation, Seen
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.recommend import recommend
from llmrec_qdrant.operations.spaces import load_config
from llmrec_qdrant.query.options import MAX_LIMIT, ListOptions
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Key, Space

from ..reconcile import create_users
from ..storage.store import SpaceStore
from ..users import refresh
from .heartbeat import beat
from .metrics import measures
from .report import Report, no_report
from .splits import Target

__all__ = ["fold_users", "lists", "ndcg_of", "recommended"]

USERS_PER_BATCH = 64
REQUEST_THREADS = 4
"""Concurrent requests to a server."""
SPARE_PLACES = 20
"""Items requested beyond the limit, so that ties at the end of a list can be ordered."""
SAME_SCORE = 1e-6
"""Relative difference up to which two scores count as a tie."""


def fold_users(copy: SpaceStore, config: SpaceConfig, targets: Sequence[Target], report: Report = no_report) -> None:
    """Compute the vectors of the targets' users under ``config``."""
    done = 0
    for batch in batches(targets, USERS_PER_BATCH):
        owners = {
            point_id("user", target.user, target.tenant or None): {Key.USER_ID: target.user, Key.TENANT: target.tenant}
            for target in batch
        }
        beat(copy)
        create_users(copy, owners)
        refresh.refresh(copy, config, list(owners))
        done += len(batch)
        report("folding users", done, len(targets))


def lists(
    copy: SpaceStore, targets: Sequence[Target], limit: int, report: Report = no_report, stage: str = "", **options: Any
) -> list[list[str]]:
    """Return for each target the item ids of :meth:`Recommender.recommend`; ``options`` are passed on to it.

    Qdrant returns items of equal score in any order. Here a digest of the item breaks ties, so that measurements are
    reproducible.
    """
    beat(copy)
    config = copy.run(load_config(Space(copy.name)))

    def request(target: Target) -> list[str]:
        wider = min(limit + SPARE_PLACES, MAX_LIMIT)
        listed = recommended(copy, config, target.tenant, target.user, wider, **options)
        return [item.id for item in ordered(listed)][:limit]

    result: list[list[str]] = []
    with ThreadPoolExecutor(REQUEST_THREADS if copy.serves_threads else 1) as pool:
        for listed in pool.map(request, targets):
            result.append(listed)
            report(stage, len(result), len(targets))
    return result


def recommended(
    copy: SpaceStore, config: SpaceConfig, tenant: str, user: str, limit: int, exclude_seen: Seen = True, **options: Any
) -> list[Recommendation]:
    """Return the list of :meth:`Recommender.recommend`, by the same steps.

    A recommender without a broker runs the workers, so the workers cannot import the recommender.
    """
    bound = Bound(Space(copy.name), config, tenant or None)
    return copy.run(recommend(bound, user, ListOptions(limit, **options), exclude_seen))


def ordered(listed: Iterable[Recommendation]) -> list[Recommendation]:
    """Reorder neighbours of equal score, so that their order depends on their ids only."""
    result: list[Recommendation] = []
    ties: list[Recommendation] = []
    for item in listed:
        if ties and abs(item.score - ties[0].score) > SAME_SCORE * max(1.0, abs(ties[0].score)):
            result += sorted(ties, key=_digest)
            ties = []
        ties.append(item)
    return result + sorted(ties, key=_digest)


def _digest(item: Recommendation) -> str:
    """Return a pseudo-random sort key: plain ids may reveal how old or popular an item is."""
    return point_id("item", item.id)


def ndcg_of(copy: SpaceStore, targets: Sequence[Target], limit: int, **options: Any) -> np.ndarray:
    """Return the NDCG of each target's list, float array (targets,); ``options`` are those of ``recommend``."""
    return measures(lists(copy, targets, limit, **options), [target.items for target in targets], limit)["ndcg"]
