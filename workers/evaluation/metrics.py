"""Accuracy measures of recommendation lists, with confidence intervals and tests over users."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytrec_eval
from scipy import stats

__all__ = ["MEASURES", "MIN_USERS", "beats_noise", "interval", "measures", "p_value"]

MIN_USERS = 20
"""Fewest users per half for a meaningful comparison."""
CONFIDENCE = 0.95
RESAMPLES = 1_000
"""Draws of the bootstrap and of the permutation test."""
MEASURES = ("hr", "recall", "ndcg", "mrr", "map")
"""Hit rate, recall, NDCG, mean reciprocal rank, mean average precision."""
TREC_CUTS = {"hr": "success", "recall": "recall", "ndcg": "ndcg_cut", "map": "map_cut"}
"""Measure → its name in trec_eval, at a cut-off."""


def measures(lists: Sequence[Sequence[str]], targets: Sequence[Sequence[str]], limit: int) -> dict[str, np.ndarray]:
    """Measure each list at ``limit``; returns name → float array (lists,).

    ``targets`` holds the relevant items of each list. Hit rate is 1 if the list contains any of them.

    >>> values = measures([["x", "b", "a"], ["x"]], [["a", "b"], ["a"]], 3)
    >>> {name: array.round(3).tolist() for name, array in values.items()}
    {'hr': [1.0, 0.0], 'recall': [1.0, 0.0], 'ndcg': [0.693, 0.0], 'mrr': [0.5, 0.0], 'map': [0.583, 0.0]}
    """
    relevant = {f"{row}": dict.fromkeys(items, 1) for row, items in enumerate(targets)}
    runs = {
        f"{row}": {item: float(-rank) for rank, item in enumerate(listed[:limit])} for row, listed in enumerate(lists)
    }
    evaluator = pytrec_eval.RelevanceEvaluator(
        relevant, {f"{cut}.{limit}" for cut in TREC_CUTS.values()} | {"recip_rank"}
    )
    scored = evaluator.evaluate({row: run for row, run in runs.items() if run})
    keys = {**{name: f"{cut}_{limit}" for name, cut in TREC_CUTS.items()}, "mrr": "recip_rank"}
    return {
        name: np.array([scored.get(f"{row}", {}).get(keys[name], 0.0) for row in range(len(lists))])
        for name in MEASURES
    }


def interval(values: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the bootstrap confidence interval (percentile method) of the mean."""
    if len(values) < 2 or np.ptp(values) == 0:
        return float(values.mean()), float(values.mean())
    bounds = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=confidence, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return float(bounds.low), float(bounds.high)


def p_value(values: np.ndarray, others: np.ndarray) -> float:
    """Return the p-value of a two-sided paired permutation test (Smucker et al. 2007) of two means over the same users."""
    differences = values - others
    if len(differences) < 2 or not differences.any():
        return 1.0
    test = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=RESAMPLES, vectorized=True,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(test.pvalue)


def beats_noise(gains: np.ndarray) -> bool:
    """Whether the mean gain per user exceeds its standard error (the one-standard-error rule, Breiman et al. 1984)."""
    return bool(gains.mean() > gains.std() / len(gains) ** 0.5)
