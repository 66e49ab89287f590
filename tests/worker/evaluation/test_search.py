"""The joint search with measures whose maximum is known."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

from llmrec_qdrant import SpaceConfig
from workers.evaluation.journal import Journal, Tried
from workers.evaluation.search import MAX_TRIALS, Search
from workers.evaluation.settings import Settings

CONFIG = SpaceConfig(model="hash", size=32)
USERS = 180
FOREVER = 1e9
SETTINGS = Settings(CONFIG, ["like", "view"])


def peaked(config: SpaceConfig, users: int) -> np.ndarray:
    """One maximum; some settings matter, the others do not. Users differ a little."""
    cost = (
        0.3 * abs(config.collab_decay - 0.9)
        + 0.05 * abs(np.log(config.half_life_days / 90))
        + 0.03 * abs(config.weights["collab"] - 5)
        + 0.05 * abs(config.event_weights["view"] - 0.5)
    )
    return 1 - cost * np.linspace(0.9, 1.1, USERS)[:users]


asked: Counter[int] = Counter()
"""Number of users → how often the search of :func:`found` measured on as many."""


@pytest.fixture(scope="module")
def found() -> tuple[Search, SpaceConfig]:
    """A whole search, and what it chose."""

    def measure(config: SpaceConfig, users: int) -> np.ndarray:
        asked[users] += 1
        return peaked(config, users)

    search = Search(SETTINGS, measure, USERS)
    chosen = search.run(FOREVER)
    search.measure = peaked
    return search, chosen


def test_the_search_comes_near_the_best_values_of_all_settings_together(found: tuple[Search, SpaceConfig]) -> None:
    search, chosen = found
    assert len(search.journal.tried) == MAX_TRIALS
    start, end = peaked(CONFIG, USERS).mean(), peaked(chosen, USERS).mean()
    assert end - start > 0.75 * (1 - start)


def test_what_does_not_matter_is_put_back(found: tuple[Search, SpaceConfig]) -> None:
    search, chosen = found
    pairs = list(search.simplify(chosen))
    steps, config = [step for step, _ in pairs], pairs[-1][1]
    assert {step.name for step in steps} == {change.name for change in SETTINGS.changes(chosen)}
    assert {change.name for change in SETTINGS.changes(config)} == {step.name for step in steps if step.kept}
    assert "event_weights.like" not in {step.name for step in steps if step.kept}
    assert config.prefetch == CONFIG.prefetch and config.position_decay == CONFIG.position_decay
    assert all(step.low <= step.gain <= step.high for step in steps)
    assert peaked(config, USERS).mean() >= peaked(chosen, USERS).mean() - 1e-9


def test_where_nothing_is_better_nothing_changes() -> None:
    search = Search(SETTINGS, lambda config, users: np.full(users, 0.5), USERS)
    assert search.run(FOREVER) == CONFIG and list(search.simplify(CONFIG)) == []


def test_a_setting_is_kept_if_lists_lose_without_it_beyond_chance() -> None:
    """Users lose .01 without the decay, on average and beyond the standard error; without the other, .0001, which is less."""
    chance = np.random.default_rng(0).normal(0, 0.05, USERS)

    def measure(config: SpaceConfig, users: int) -> np.ndarray:
        decay, prefetch = config.collab_decay != CONFIG.collab_decay, config.prefetch != CONFIG.prefetch
        return (0.01 * decay + (0.0001 + chance - chance.mean()) * prefetch)[:users] + np.zeros(users)

    changed = CONFIG.model_copy(update={"collab_decay": 0.9, "prefetch": 400})
    steps, configs = zip(*Search(SETTINGS, measure, USERS).simplify(changed), strict=True)
    assert [(step.name, step.kept) for step in steps] == [("collab_decay", True), ("prefetch", False)]
    assert [round(step.gain, 5) for step in steps] == [0.01, 0.0001]
    assert configs[-1] == CONFIG.model_copy(update={"collab_decay": 0.9})


def test_most_configurations_are_measured_on_few_users(found: tuple[Search, SpaceConfig]) -> None:
    assert found[0].rungs() == [20, 60, 180]
    assert asked[20] >= MAX_TRIALS - 5  # all but those in which nothing counts
    assert asked[180] < asked[60] < 0.8 * MAX_TRIALS and asked[180] < 0.6 * MAX_TRIALS
    assert Search(SETTINGS, peaked, 25).rungs() == [25]


def test_a_search_whose_worker_dies_goes_on() -> None:
    """Its journal has been through JSON, as in the record of a job."""
    stored: dict[str, Any] = {}

    def keep(journal: dict[str, Any]) -> None:
        stored.update(json.loads(json.dumps(journal)))

    calls = 0

    def dying(config: SpaceConfig, users: int) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls == 70:
            raise KeyboardInterrupt
        return peaked(config, users)

    with pytest.raises(KeyboardInterrupt):
        Search(SETTINGS, dying, USERS, journal=Journal.of({}, keep)).run(FOREVER)
    before = [dict(trial) for trial in stored["tried"]]
    assert len(before) > 20
    resumed = Search(SETTINGS, peaked, USERS, journal=Journal.of(stored, keep))
    resumed.run(FOREVER)
    assert stored["tried"][: len(before)] == before and len(stored["tried"]) == MAX_TRIALS
    assert Journal.of(stored, keep).tried == resumed.journal.tried


def test_time_already_spent_counts() -> None:
    tried = [Tried(SETTINGS.first()[1], {20: 0.1, 60: 0.1, USERS: 0.1}, True)]
    search = Search(SETTINGS, peaked, USERS, journal=Journal(tried, seconds=100.0))
    assert search.run(60) == SETTINGS.of(tried[0].params)
    assert len(search.journal.tried) == 1


def test_a_configuration_in_which_nothing_counts_is_not_measured() -> None:
    nothing = SETTINGS.first()[0] | {"weights.dense": 0, "weights.tfidf": 0, "weights.collab": 0}
    assert SETTINGS.of(nothing) is None
    assert SETTINGS.of(SETTINGS.first()[0] | {"event_weights.like": 0.0, "event_weights.view": 0.0}) is None


def test_the_weight_of_a_single_event_type_is_not_searched() -> None:
    assert not [name for name in Settings(CONFIG, ["view"]).distributions() if name.startswith("event_weights")]
    assert {"event_weights.view", "event_weights.like"} <= SETTINGS.distributions().keys()


def test_the_first_configurations_change_the_legs_only() -> None:
    for params in SETTINGS.first():
        config = SETTINGS.of(params)
        assert config is not None and {change.name for change in SETTINGS.changes(config)} <= {"weights"}
