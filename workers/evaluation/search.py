"""Searches settings of a space jointly, on a budget of time: Optuna proposes, and few users sort out most proposals.

A multivariate tree-structured Parzen estimator proposes (Bergstra et al. 2011), successive halving measures a proposal on a
ninth of the users, the best third of them on a third, and the best third of those on all (Jamieson and Talwalkar 2016). In
the end every setting goes back to its former value unless the lists lose by it beyond chance: of many equally good values,
one always looks better.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState, create_trial

from llmrec_qdrant.contracts.config import SpaceConfig

from .journal import Journal, Tried
from .metrics import MIN_USERS, beats_noise, interval
from .report import Report, no_report
from .settings import Settings

__all__ = ["Search", "Step"]

REDUCTION = 3
"""Of how many proposals successive halving lets one pass to more users."""
MAX_TRIALS = 150
STARTING_TRIALS = 24
"""Proposals before the sampler learns from earlier ones."""
RESERVED = 0.2
"""Share of the time for the end, when every setting is put back once."""
Measure = Callable[[SpaceConfig, int], np.ndarray]
"""Measures a configuration on the first so many users; returns a value for each, higher is better."""


@dataclass(frozen=True)
class Step:
    """A setting that was changed, and what it alone adds to the gain."""

    name: str
    value: Any
    gain: float
    """Mean gain in NDCG; negative if the setting was put back."""
    low: float
    """Lower bound of the gain's bootstrap interval (95 %); ``high`` is the upper bound."""
    high: float
    kept: bool


@dataclass
class Search:
    """A search; its state is a journal, so that another worker can resume it."""

    settings: Settings
    measure: Measure
    users: int
    seed: int = 0
    report: Report = no_report
    journal: Journal = field(default_factory=Journal)

    def run(self, seconds: float) -> SpaceConfig:
        """Try proposals for as many seconds, or 150 of them; returns the best configuration that was measured on all users."""
        journal, until = self.journal, seconds * (1 - RESERVED)
        began = time.monotonic() - journal.seconds
        start = self.measure(self.settings.config, self.users)
        study = self._study()
        while len(journal.tried) < MAX_TRIALS and time.monotonic() - began < until:
            gain, _ = self._best()
            self.report(f"choosing: {len(journal.tried)} tried, best {gain:+.4f}", time.monotonic() - began, until)
            tried = [*journal.tried, self._try(study, start)]
            journal.note(tried=tried, seconds=time.monotonic() - began)
        return self._best()[1]

    def _best(self) -> tuple[float, SpaceConfig]:
        """Return the best configuration so far, with its gain."""
        measured = [(trial.gains[self.users], trial.params) for trial in self.journal.tried if trial.done]
        gain, params = max(measured, key=lambda pair: pair[0], default=(0.0, {}))
        config = self.settings.of(params) if gain > 0 else None
        return (gain, config) if config else (0.0, self.settings.config)

    def _try(self, study: optuna.Study, start: np.ndarray) -> Tried:
        """Measure a proposal on more and more users, for as long as it is among the best."""
        trial = study.ask(self.settings.distributions())
        config, gains = self.settings.of(trial.params), {}
        for users in self.rungs() if config else ():
            gains[users] = float((self.measure(config, users) - start[:users]).mean())  # type: ignore[arg-type]
            trial.report(gains[users], users)
            if not self._among_best(users, gains[users]):
                break
        done = self.users in gains
        study.tell(trial, gains.get(self.users), TrialState.COMPLETE if done else TrialState.PRUNED)
        return Tried(trial.params, gains, done)

    def _among_best(self, users: int, gain: float) -> bool:
        """Whether a gain on so many users is among the best third of the last proposals, which grow better and better."""
        measured = [trial.gains[users] for trial in self.journal.tried if users in trial.gains]
        earlier = sorted(measured[-STARTING_TRIALS:], reverse=True)
        return len(earlier) < REDUCTION or gain > earlier[len(earlier) // REDUCTION]

    def rungs(self) -> list[int]:
        """Return the numbers of users that a proposal is measured on, one after the other."""
        numbers = (self.users // REDUCTION**2, self.users // REDUCTION, self.users)
        return [number for number in numbers if number >= MIN_USERS or number == self.users]

    def _study(self) -> optuna.Study:
        """Return a study that knows what was tried."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=STARTING_TRIALS, multivariate=True, seed=self.seed + len(self.journal.tried)
            )
        study = optuna.create_study(direction="maximize", sampler=sampler, pruner=optuna.pruners.NopPruner())
        distributions = self.settings.distributions()
        for trial in self.journal.tried:
            study.add_trial(create_trial(
                state=TrialState.COMPLETE if trial.done else TrialState.PRUNED, params=dict(trial.params),
                value=trial.gains.get(self.users), distributions=distributions, intermediate_values=dict(trial.gains),
            ))  # fmt: skip
        for params in self.settings.first()[len(self.journal.tried) :]:
            study.enqueue_trial(params)
        return study

    def simplify(self, config: SpaceConfig) -> Iterator[tuple[Step, SpaceConfig]]:
        """Put each changed setting back, unless the lists lose by it beyond chance; yields a step and what is left of ``config``."""
        values = self.measure(config, self.users)
        changes = self.settings.changes(config)
        for number, name in enumerate([change.name for change in changes], 1):
            change = next(change for change in self.settings.changes(config) if change.name == name)
            without = self.measure(change.without, self.users)
            gains, kept = values - without, beats_noise(values - without)
            if not kept:
                config, values = change.without, without
            self.report("confirming each setting", number, len(changes))
            yield Step(name, change.value, float(gains.mean()), *interval(gains), kept), config
