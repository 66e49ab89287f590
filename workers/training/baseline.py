"""Measures the current model of a space, once per training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.space.layout import DENSE

from ..evaluation.splits import Halves, Split
from ..evaluation.trial_space import trial
from ..storage.store import SpaceStore
from .comparison import Outcome
from .evaluator import Evaluator

__all__ = ["measure_baseline"]

BASELINE_FILE = "baseline.json"


def measure_baseline(
    store: SpaceStore, config: SpaceConfig, split: Split, evaluator: Evaluator, folder: Path
) -> Outcome:
    """Measure the current model; a resumed training reads the outcome from its folder."""
    path = folder / BASELINE_FILE
    identity = {
        "model": f"{config.encoder_id} {evaluator.exclude_seen}",
        "users": [target.user for target in split.targets],
    }
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if identity.items() <= stored.items():
        return Outcome(np.array(stored[DENSE]), np.array(stored["fused"]), stored["weights"])
    with trial(store, config, split, evaluator.report) as copy:
        outcome = evaluator.outcome(copy, [evaluator.weights], Halves.of(split.targets))
    figures = {DENSE: outcome.dense.tolist(), "fused": outcome.fused.tolist(), "weights": outcome.weights}
    path.write_text(json.dumps({**identity, **figures}), encoding="utf-8")
    return outcome
