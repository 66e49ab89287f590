"""Coordinate search with measures whose maximum is known."""

from __future__ import annotations

import numpy as np

from llmrec_qdrant import SpaceConfig
from workers.evaluation.search import search, settings

CONFIG = SpaceConfig(model="hash", size=32)


def test_search_finds_the_best_value_of_every_setting() -> None:
    """A measure with one maximum, within the values that are tried."""

    def measure(config: SpaceConfig) -> np.ndarray:
        cost = (
            abs(config.collab_decay - 0.9)
            + abs(config.position_decay - 0.3)
            + abs(config.half_life_days - 90) / 100
            + abs(config.weights["collab"] - 6)
            + abs(config.event_weights["view"] - 0.5)
            + abs(config.prefetch - 100) / 1000
        )
        return np.array([-cost, -2 * cost])

    *_, (last, found) = search(CONFIG, measure, ["like", "view"])
    assert (found.collab_decay, found.position_decay, found.half_life_days, found.prefetch) == (0.9, 0.3, 90.0, 100)
    assert (found.weights["collab"], found.event_weights["view"], found.event_weights["like"]) == (6.0, 0.5, 2.0)
    assert last.name == "weights" and last.ndcg == measure(found).mean()


def test_where_nothing_is_better_nothing_changes() -> None:
    steps = list(search(CONFIG, lambda config: np.full(9, 0.5), ["like", "view"]))
    assert all(config == CONFIG for _, config in steps)
    assert {step.name: step.value for step, _ in steps}["collab_decay"] == CONFIG.collab_decay


def test_search_ignores_gains_within_noise() -> None:
    """Independent noise per configuration: one of the values always looks better than what the space has."""
    chance = np.random.default_rng(0)
    *_, (last, found) = search(CONFIG, lambda config: chance.normal(0, 1, 400))
    noise = np.random.default_rng(0)
    most = max(noise.normal(0, 1, 400).mean() for _ in range(30))
    changed = [name for name in settings_of(found) if settings_of(found)[name] != settings_of(CONFIG)[name]]
    assert len(changed) <= 3 and last.ndcg <= most + 0.1


def settings_of(config: SpaceConfig) -> dict[str, object]:
    return {name: getattr(config, name) for name, _ in settings(CONFIG)}


def test_the_weight_of_a_single_event_type_is_not_tuned() -> None:
    assert not [name for name, _ in settings(CONFIG, ["view"]) if name.startswith("event_weights")]
    assert {name for name, _ in settings(CONFIG, ["view", "like"])} >= {"event_weights.view", "event_weights.like"}
