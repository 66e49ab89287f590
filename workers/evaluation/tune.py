"""Tunes a space: chooses settings on half of a sample of users and confirms them on the other half, in a trial space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.operations import creating
from llmrec_qdrant.space.layout import Key

from ..items import collab
from ..storage.store import SpaceStore
from .journal import Journal
from .metrics import MIN_USERS, beats_noise, interval, p_value
from .report import Report, no_report
from .search import Search, Step
from .settings import Settings
from .splits import Halves, Split, Target, hide_last
from .trial_copy import event_payloads
from .trial_lists import fold_users, ndcg_of
from .trial_space import discard, trial

__all__ = ["Tuning", "tune"]


@dataclass
class Tuning:
    """The chosen settings, and their gain on held-out users."""

    limit: int
    """Length of the lists."""
    chosen_on: int
    """Number of users on whom the settings were chosen."""
    original: SpaceConfig
    """The configuration of the space."""
    config: SpaceConfig
    """The chosen configuration."""
    tried: int = 0
    """Number of configurations that were measured."""
    steps: list[Step] = field(default_factory=list)
    """Settings of the best configuration that differed from the space's, and what each is worth."""
    before: float = 0.0
    """NDCG of ``original`` on the held-out users."""
    after: float = 0.0
    """NDCG of ``config`` on the held-out users."""
    low: float = 0.0
    """Lower bound of the gain's bootstrap interval (95 %); ``high`` is the upper bound."""
    high: float = 0.0
    p: float = 1.0
    confirmed_on: int = 0
    """Number of held-out users."""
    better: bool = False
    """Whether the gain on the held-out users exceeds its standard error, so that the settings are worth storing."""

    @property
    def changes(self) -> dict[str, Any]:
        """Chosen settings that differ from the space's: name → value."""
        return {name: value for name, value in self.config if value != getattr(self.original, name)}

    def onto(self, config: SpaceConfig) -> SpaceConfig:
        """Apply the chosen settings, and nothing else, to ``config``, which may have changed meanwhile."""
        before, chosen = self.original.event_weights, self.config.event_weights
        changed = {event_type: weight for event_type, weight in chosen.items() if weight != before.get(event_type)}
        weights = {"event_weights": {**config.event_weights, **changed}}
        return config.model_copy(update={**self.changes, **weights})


def tune(
    store: SpaceStore,
    config: SpaceConfig,
    *,
    users: int = 800,
    limit: int = 10,
    seed: int = 0,
    minutes: float = 30.0,
    journal: Journal | None = None,
    report: Report = no_report,
) -> Tuning:
    """Choose settings on half of ``users`` random users and confirm them on the other half. Only reads the space.

    The search takes about as many minutes; it goes on from a ``journal``. Raises :class:`InvalidInput` with fewer than 40 users who took two items.
    """
    split = hide_last(event_payloads(store), config, users, seed)
    halves = _halves(store, split)
    journal = journal or Journal()
    discard(store, journal.trial)
    with trial(store, config, split, report) as copy:
        journal.note(trial=copy.name)
        settings = Settings(config, sorted({event[Key.TYPE] for event in event_payloads(copy)}))
        bench = SettingsBench(copy, config, limit)
        result = Tuning(limit, len(halves.choosing), config, config, confirmed_on=len(halves.confirming))
        search = Search(
            settings, lambda candidate, users: bench.ndcg(candidate, halves.choosing[:users]), len(halves.choosing),
            seed, report, journal,
        )  # fmt: skip
        result.config = search.run(60 * minutes)
        result.tried = len(journal.tried)
        for step, simpler in search.simplify(result.config):
            result.steps.append(step)
            result.config = simpler
        before, after = bench.ndcg(config, halves.confirming), bench.ndcg(result.config, halves.confirming)
    _confirm(result, before, after)
    return result


def _halves(store: SpaceStore, split: Split) -> Halves:
    if len(split.targets) < 2 * MIN_USERS:
        raise InvalidInput(
            f"space {store.name!r} has {len(split.targets)} user{'s'[: len(split.targets) != 1]} who took two items at different times; tuning needs at least "
            f"{2 * MIN_USERS}: collect more events, and keep the defaults until then"
        )
    return Halves.of(split.targets)


def _confirm(result: Tuning, before: np.ndarray, after: np.ndarray) -> None:
    """Record the gain on the held-out users."""
    result.before, result.after = float(before.mean()), float(after.mean())
    result.better = beats_noise(after - before)
    result.low, result.high = interval(after - before)
    result.p = p_value(after, before)


class SettingsBench:
    """Measures configurations in a trial space; refits and refolds only what depends on a changed setting."""

    def __init__(self, copy: SpaceStore, config: SpaceConfig, limit: int) -> None:
        self._copy, self._limit = copy, limit
        self._first, self._fitting = config.folding, config.fitting
        self._folded: dict[Target, str] = {}

    def ndcg(self, config: SpaceConfig, targets: Sequence[Target]) -> np.ndarray:
        """Return the NDCG of each target's list under ``config``, float array (targets,)."""
        self._copy.run(creating.create(self._copy.space, config))
        if config.fitting != self._fitting:
            collab.fit(self._copy, config)
            self._fitting = config.fitting
        outdated = [target for target in targets if self._folded.get(target, self._first) != config.folding]
        fold_users(self._copy, config, outdated)
        self._folded.update(dict.fromkeys(outdated, config.folding))
        return ndcg_of(self._copy, targets, self._limit)
