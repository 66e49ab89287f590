"""Coordinate search over the settings of a space: fixes one setting after the other at its best value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmrec_qdrant.contracts.config import LEGS, Leg, SpaceConfig

from .metrics import beats_noise
from .report import Report, no_report

__all__ = ["LEG_WEIGHTS", "Step", "search", "settings"]

LEG_RATIOS = (
    (1, 1, 1), (1, 1, 2), (1, 2, 3), (1, 2, 4), (1, 1, 4), (1, 1, 6), (1, 2, 1), (2, 1, 1), (2, 1, 2), (3, 1, 1),
    (3, 1, 2), (4, 1, 2), (4, 2, 1), (6, 1, 2),
)  # fmt: skip
LEG_WEIGHTS: Sequence[dict[Leg, float]] = [dict(zip(LEGS, map(float, ratio), strict=True)) for ratio in LEG_RATIOS]
"""Leg weights to try."""
SETTING_VALUES: dict[str, Sequence[Any]] = {
    "weights": LEG_WEIGHTS,
    "collab_decay": (0.3, 0.5, 0.7, 0.9),
    "position_decay": (0.3, 0.5, 0.7, 0.9),
    "half_life_days": (7.0, 30.0, 90.0, 365.0),
    "collab_distance": (0.25, 0.5, 1.0, 1.5),
    "prefetch": (100, 200, 400),
}
"""Setting → values to try, in this order; docs/decisions/tuning.md explains why no others."""
EVENT_WEIGHT_FACTORS = (0.0, 0.5, 2.0)
"""Factors to try on the weight of an event type."""


@dataclass(frozen=True)
class Step:
    """One step of the search: a setting, the value chosen for it, and the NDCG with that value."""

    name: str
    value: Any
    ndcg: float
    tried: int
    """Number of other values that were measured."""


def settings(config: SpaceConfig, event_types: Sequence[str] = ()) -> Iterator[tuple[str, list[SpaceConfig]]]:
    """Yield each setting with the configurations to try instead of ``config``.

    The weight of a single event type cancels out, so it is not tuned.
    """
    for name, values in SETTING_VALUES.items():
        yield name, [config.model_copy(update={name: value}) for value in values if value != getattr(config, name)]
    for event_type in event_types if len(event_types) > 1 else ():
        weight = config.event_weights.get(event_type, 1.0)
        tried = [{**config.event_weights, event_type: weight * factor} for factor in EVENT_WEIGHT_FACTORS]
        yield f"event_weights.{event_type}", [config.model_copy(update={"event_weights": weights}) for weights in tried]


def search(
    config: SpaceConfig,
    measure: Callable[[SpaceConfig], np.ndarray],
    event_types: Sequence[str] = (),
    report: Report = no_report,
) -> Iterator[tuple[Step, SpaceConfig]]:
    """Yield a step per setting, with the best configuration so far; leg weights are searched first and once more at the end.

    ``measure`` returns a value per user; higher is better. Another value is chosen only if its gain
    :func:`~workers.evaluation.metrics.beats_noise`: of many equally good values, one always looks better by chance.
    """
    best = measure(config)
    names = [name for name, _ in settings(config, event_types)]
    for number, name in enumerate([*names, "weights"]):
        candidates = [
            candidate for candidate in dict(settings(config, event_types))[name] if _counts_any(candidate, event_types)
        ]
        measured = [(measure(candidate), candidate) for candidate in candidates]
        values, candidate = max(measured, key=lambda pair: float(pair[0].mean()), default=(best, config))
        if beats_noise(values - best):
            best, config = values, candidate
        report("choosing", number + 1, len(names) + 1)
        yield Step(name, _value(config, name), float(best.mean()), len(candidates)), config


def _counts_any(config: SpaceConfig, event_types: Sequence[str]) -> bool:
    """Whether any of the event types still has a positive weight."""
    return not event_types or any(config.event_weights.get(event_type, 1.0) > 0 for event_type in event_types)


def _value(config: SpaceConfig, name: str) -> Any:
    setting, _, event_type = name.partition(".")
    return config.event_weights.get(event_type, 1.0) if event_type else getattr(config, setting)
