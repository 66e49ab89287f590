"""The settings of a space that tuning may change, as parameters of a joint search. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from llmrec_qdrant.contracts.config import LEGS, SpaceConfig

from .leg_weights import LEG_WEIGHTS

__all__ = ["Change", "Settings"]

WEIGHT, EVENT = "weights.", "event_weights."
"""Prefixes of parameters: the weight of a leg, and the factor on the weight of an event type."""
MAX_LEG_WEIGHT = 6
MAX_EVENT_FACTOR = 4.0
PREFETCHES = (100, 200, 400)
NUMBERS: Mapping[str, BaseDistribution] = {
    "collab_decay": FloatDistribution(0.2, 1.0, step=0.05),
    "position_decay": FloatDistribution(0.2, 1.0, step=0.05),
    "half_life_days": FloatDistribution(2.0, 1_000.0, log=True),
    "collab_distance": FloatDistribution(0.1, 3.0, log=True),
    "prefetch": CategoricalDistribution(PREFETCHES),
}
"""Setting → where its best value is sought; docs/decisions/tuning.md explains why no others."""


@dataclass(frozen=True)
class Change:
    """A setting that differs from the start."""

    name: str
    value: Any
    without: SpaceConfig
    """The configuration without this change."""


@dataclass(frozen=True)
class Settings:
    """The settings to search, starting from a configuration."""

    config: SpaceConfig
    event_types: Sequence[str] = ()
    """Types of the events there are."""

    @property
    def searched_types(self) -> Sequence[str]:
        """Types of events whose weights are searched: that of a single one would cancel out."""
        return self.event_types if len(self.event_types) > 1 else ()

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return parameter → where its best value is sought."""
        factor = FloatDistribution(0.0, MAX_EVENT_FACTOR, step=0.25)
        return (
            {f"{WEIGHT}{leg}": IntDistribution(0, MAX_LEG_WEIGHT) for leg in LEGS}
            | dict(NUMBERS)
            | {f"{EVENT}{name}": factor for name in self.searched_types}
        )

    def first(self) -> list[dict[str, Any]]:
        """Return the parameters to try first: other weights of the legs, with all else as it is."""
        rest = {name: _nearest(distribution, getattr(self.config, name)) for name, distribution in NUMBERS.items()}
        rest |= {f"{EVENT}{name}": 1.0 for name in self.searched_types}
        return [{f"{WEIGHT}{leg}": int(weights[leg]) for leg in LEGS} | rest for weights in LEG_WEIGHTS]

    def of(self, params: Mapping[str, Any]) -> SpaceConfig | None:
        """Return the configuration with these parameters; None if no leg or no event would count in it."""
        weights = {leg: float(params[f"{WEIGHT}{leg}"]) for leg in LEGS}
        events = dict(self.config.event_weights)
        for name in self.searched_types:
            events[name] = round(events.get(name, 1.0) * params[f"{EVENT}{name}"], 4)
        counts = not self.event_types or any(events.get(name, 1.0) > 0 for name in self.event_types)
        if not any(weights.values()) or not counts:
            return None
        numbers = {name: _rounded(params[name]) for name in NUMBERS}
        return self.config.model_copy(update={"weights": weights, "event_weights": events, **numbers})

    def changes(self, config: SpaceConfig) -> list[Change]:
        """Return the settings in which a configuration differs from the start."""
        result: list[Change] = []
        for name in ("weights", *NUMBERS):
            value, first = getattr(config, name), getattr(self.config, name)
            if value != first:
                result.append(Change(name, value, config.model_copy(update={name: first})))
        for name in self.searched_types:
            value, first = (one.event_weights.get(name, 1.0) for one in (config, self.config))
            if value != first:
                events = {**config.event_weights, name: first}
                result.append(Change(f"{EVENT}{name}", value, config.model_copy(update={"event_weights": events})))
        return result


def _nearest(distribution: BaseDistribution, value: Any) -> Any:
    """Return the allowed value that is nearest to ``value``."""
    if isinstance(distribution, FloatDistribution):
        return min(max(value, distribution.low), distribution.high)
    return min(PREFETCHES, key=lambda choice: abs(choice - value))


def _rounded(value: Any) -> Any:
    """Round to three significant digits: a half-life of 37.28341 days says no more than 37.3."""
    return float(f"{value:.3g}") if isinstance(value, float) else value
