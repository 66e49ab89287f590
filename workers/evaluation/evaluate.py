"""Evaluates a space: requests its lists in a trial space and compares them with held-out items.

Accuracy comes from pytrec_eval (trec_eval's code, Van Gysel and de Rijke 2018), intervals and significance from scipy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from llmrec_qdrant.contracts.config import LEGS, SpaceConfig
from llmrec_qdrant.space.conditions import tenant_filter

from ..behaviour.cooccurrence import Interactions
from ..items.interactions import read_interactions
from ..storage.store import SpaceStore
from .baselines import most_popular
from .beyond_accuracy import Beyond, Diversity, Name, coverage, novelty
from .metrics import interval, measures, p_value
from .report import Report, no_report
from .splits import Split, Target, hide_last
from .trial_copy import event_payloads
from .trial_lists import lists
from .trial_space import trial

__all__ = ["Evaluation", "Row", "evaluate"]

COLD_EVENTS = 3
"""Events up to which a user is cold."""
OWN_ROW = "recommend"
"""Name of the row with the space's own lists, with which the others are compared."""


@dataclass(frozen=True)
class Row:
    """Measures of one way to recommend: means over users."""

    name: str
    hr: float
    recall: float
    ndcg: float
    mrr: float
    map: float
    low: float
    """Lower bound of NDCG's bootstrap interval (95 %); ``high`` is the upper bound."""
    high: float
    users: int
    p: float | None = None
    """p-value of the NDCG difference to ``recommend`` (paired permutation test)."""
    coverage: float | None = None
    """Share of the catalogue in any list; None for a subset of the users."""
    novelty: float | None = None
    """Mean self-information of listed items, in bits: higher is less popular."""
    diversity: float | None = None
    """Mean of 1 - cosine within a list."""
    slice: str = ""
    """Which users the row is about; empty for all."""


@dataclass
class Evaluation:
    """Result of an evaluation: a row per way to recommend; ``limit`` is the length of the lists."""

    limit: int
    users: int
    rows: list[Row] = field(default_factory=list)


def evaluate(
    store: SpaceStore,
    config: SpaceConfig,
    *,
    users: int = 500,
    limit: int = 10,
    seed: int = 0,
    split: Callable[..., Split] = hide_last,
    tenant: str | None = None,
    report: Report = no_report,
) -> Evaluation:
    """Measure a space under ``config``, and compare it with popularity and each leg alone. Only reads the space.

    ``split`` is :func:`~workers.evaluation.splits.hide_last` or ``hide_latest``; ``tenant`` restricts the evaluation to
    the users of one tenant. Raises :class:`InvalidInput` if no user took two items.
    """
    parts = split(event_payloads(store, tenant), config, users, seed)
    with trial(store, config, parts, report) as copy:
        interactions = read_interactions(copy, config)
        shown = {
            **_own_lists(copy, parts.targets, limit, report),
            "most popular": most_popular(copy, parts.targets, interactions, limit),
        }
        shares, catalogue = _shares(interactions, tenant), copy.items.count(tenant_filter(tenant))
        beyond = _beyond(copy, parts.targets, shown, shares, catalogue)
    rows = [replace(row, **beyond[row.name]._asdict()) for row in _compared(parts.targets, shown, limit)]
    return Evaluation(limit, len(parts.targets), rows + _sliced(parts.targets, shown, shares, limit))


def _own_lists(copy: SpaceStore, targets: Sequence[Target], limit: int, report: Report) -> dict[str, list[list[str]]]:
    """Request the lists of all legs together, and of each leg alone."""
    result = {OWN_ROW: lists(copy, targets, limit, report, OWN_ROW)}
    for leg in LEGS:
        name = f"{leg} alone"
        result[name] = lists(copy, targets, limit, report, name, weights={leg: 1})
    return result


def _shares(interactions: Interactions, tenant: str | None) -> dict[Name, float]:
    """Return item → share of its tenant's users who took it, for the items of all tenants or of one."""
    takers = Counter(interactions.owners[user][0] for user in set(interactions.users.tolist()))
    counted = zip(interactions.names, interactions.popularity.tolist(), strict=True)
    return {name: count / max(takers[name[0]], 1) for name, count in counted if tenant in {None, name[0]}}


def _compared(targets: Sequence[Target], shown: Mapping[str, list[list[str]]], limit: int) -> list[Row]:
    """Return a row for each way to recommend, tested against the space's own lists."""
    wanted = [target.items for target in targets]
    values = {name: measures(listed, wanted, limit) for name, listed in shown.items()}
    own = values[OWN_ROW]["ndcg"]
    rows = [_row(name, of_users) for name, of_users in values.items()]
    return [row if row.name == OWN_ROW else replace(row, p=p_value(own, values[row.name]["ndcg"])) for row in rows]


def _beyond(
    copy: SpaceStore, targets: Sequence[Target], shown: Mapping[str, list[list[str]]], shares: Mapping[Name, float],
    catalogue: int,
) -> dict[str, Beyond]:  # fmt: skip
    """Return the measures beyond accuracy of each way to recommend."""
    diversity = Diversity(copy)
    result: dict[str, Beyond] = {}
    for name, lists_of in shown.items():
        named = [[(target.tenant, item) for item in listed] for target, listed in zip(targets, lists_of, strict=True)]
        result[name] = Beyond(coverage(named, catalogue), novelty(named, shares), diversity.of(named))
    return result


def _sliced(
    targets: Sequence[Target], shown: Mapping[str, list[list[str]]], shares: Mapping[Name, float], limit: int
) -> list[Row]:
    """Return rows of each way to recommend for cold and warm items and users, where there are any."""
    wanted = [target.items for target in targets]
    values = {name: measures(listed, wanted, limit) for name, listed in shown.items()}
    cold_items = np.array([all((target.tenant, item) not in shares for item in target.items) for target in targets])
    cold_users = np.array([target.events_before <= COLD_EVENTS for target in targets])
    slices = {
        "items without events": cold_items,
        "items with events": ~cold_items,
        f"users with at most {COLD_EVENTS} events": cold_users,
        f"users with more than {COLD_EVENTS} events": ~cold_users,
    }
    return [
        _row(f"{name}, {which}", {measure: array[some] for measure, array in of_users.items()}, which)
        for which, some in slices.items()
        if some.any()
        for name, of_users in values.items()
    ]


def _row(name: str, values: Mapping[str, np.ndarray], which: str = "") -> Row:
    low, high = interval(values["ndcg"])
    means = {measure: float(array.mean()) for measure, array in values.items()}
    return Row(name, **means, low=low, high=high, users=len(values["ndcg"]), slice=which)
