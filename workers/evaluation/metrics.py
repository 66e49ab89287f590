"""TODO: workers.evaluation.metrics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytrec_eval
from scipy import stats

__all__ = ["interval", "measures", "p_value"]


FEW = 3
"""A user with so many events or fewer is cold."""


CONFIDENCE = 0.95


RESAMPLES = 1_000


NAMES = ("hr", "recall", "ndcg", "mrr", "map")


def measures(found: Sequence[Sequence[str]], wanted: Sequence[Sequence[str]], limit: int) -> dict[str, np.ndarray]:
    """Per list: HR (1 if anything wanted is in it), recall, NDCG, reciprocal rank and average precision, at ``limit``.

    >>> hand = measures([["x", "b", "a"], ["x"]], [["a", "b"], ["a"]], 3)
    >>> {name: values.round(3).tolist() for name, values in hand.items()}
    {'hr': [1.0, 0.0], 'recall': [1.0, 0.0], 'ndcg': [0.693, 0.0], 'mrr': [0.5, 0.0], 'map': [0.583, 0.0]}
    """
    truth = {f"{k}": dict.fromkeys(items, 1) for k, items in enumerate(wanted)}
    runs = {f"{k}": {one: float(-place) for place, one in enumerate(some[:limit])} for k, some in enumerate(found)}
    cuts = {"hr": "success", "recall": "recall", "ndcg": "ndcg_cut", "map": "map_cut"}
    judge = pytrec_eval.RelevanceEvaluator(truth, {f"{cut}.{limit}" for cut in cuts.values()} | {"recip_rank"})
    scored = judge.evaluate({name: run for name, run in runs.items() if run})
    keys = {**{name: f"{cut}_{limit}" for name, cut in cuts.items()}, "mrr": "recip_rank"}
    return {name: np.array([scored.get(f"{k}", {}).get(keys[name], 0.0) for k in range(len(found))]) for name in NAMES}


def interval(values: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Bootstrap interval of the mean."""
    if len(values) < 2 or np.ptp(values) == 0:
        return float(values.mean()), float(values.mean())
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=confidence, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)


def p_value(one: np.ndarray, other: np.ndarray) -> float:
    """Two-sided paired permutation test (Smucker et al. 2007) of the difference of two means over the same users."""
    differences = one - other
    if len(differences) < 2 or not differences.any():
        return 1.0
    found = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=RESAMPLES, vectorized=True,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(found.pvalue)
