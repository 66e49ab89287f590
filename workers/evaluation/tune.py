"""Settings of a space, chosen on what its users took last.

One setting after the other (coordinate search) takes each of a few values in a trial space, and keeps the one with the
best NDCG on half of the users; the other half, which nothing was chosen on, says what that is worth. Only settings
that were seen to matter are looked at; why not others: docs/decisions/tuning.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from qdrant_client import QdrantClient

from llmrec_qdrant.contracts.config import LEGS, Leg, SpaceConfig
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.operations import spaces
from llmrec_qdrant.operations.steps import drive
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.space.layout import Key, Space

from ..items import collab
from ..storage.store import SpaceStore
from .evaluate import ndcg_of
from .metrics import interval, p_value
from .splits import Target, hide_last
from .trial_space import Tell, fold, payloads, trial, unheard

__all__ = ["LEAST", "LEG_WEIGHTS", "Step", "Tuning", "more_than_luck", "search", "settings", "tune"]


LEAST = 20
"""Users on either side below which a choice would be chance."""


_RATIOS = (
    (1, 1, 1), (1, 1, 2), (1, 2, 3), (1, 2, 4), (1, 1, 4), (1, 1, 6), (1, 2, 1), (2, 1, 1), (2, 1, 2), (3, 1, 1),
    (3, 1, 2), (4, 1, 2), (4, 2, 1), (6, 1, 2),
)  # fmt: skip


LEG_WEIGHTS: Sequence[dict[Leg, float]] = [dict(zip(LEGS, map(float, one), strict=True)) for one in _RATIOS]


VALUES: dict[str, Sequence[Any]] = {
    "weights": LEG_WEIGHTS,
    "collab_decay": (0.3, 0.5, 0.7, 0.9),
    "position_decay": (0.3, 0.5, 0.7, 0.9),
    "half_life_days": (7.0, 30.0, 90.0, 365.0),
    "collab_distance": (0.25, 0.5, 1.0, 1.5),
    "prefetch": (100, 200, 400),
}


FACTORS = (0.0, 0.5, 2.0)
"""What the weight of a type of event is multiplied by."""


@dataclass(frozen=True)
class Step:
    """One setting that was looked at, the value that was kept, and the NDCG with it."""

    name: str
    value: Any
    ndcg: float
    tried: int


@dataclass
class Tuning:
    """What was chosen, and what it is worth on users nothing was chosen on."""

    limit: int
    chosen_on: int
    given: SpaceConfig
    """What the space had."""
    config: SpaceConfig
    steps: list[Step] = field(default_factory=list)
    before: float = 0.0
    """NDCG of the configuration the space had, on the users that nothing was chosen on."""
    after: float = 0.0
    low: float = 0.0
    """Bootstrap interval (95 %) of the gain."""
    high: float = 0.0
    p: float = 1.0
    confirmed_on: int = 0
    better: bool = False
    """Whether the choice holds on them: it is worth storing."""

    @property
    def changes(self) -> dict[str, Any]:
        """The settings that are other than before."""
        return {name: value for name, value in self.config if value != getattr(self.given, name)}

    def onto(self, config: SpaceConfig) -> SpaceConfig:
        """What was chosen, and nothing else, on top of what the space has by now."""
        given, chosen = self.given.event_weights, self.config.event_weights
        kinds = {kind: weight for kind, weight in chosen.items() if weight != given.get(kind)}
        weights = {"event_weights": {**config.event_weights, **kinds}}
        return config.model_copy(update={**self.changes, **weights})


def settings(config: SpaceConfig, kinds: Sequence[str] = ()) -> Iterator[tuple[str, list[SpaceConfig]]]:
    """What to look at, in order: a name, and for it the configurations beside ``config``."""
    for name, values in VALUES.items():
        yield name, [config.model_copy(update={name: one}) for one in values if one != getattr(config, name)]
    for kind in kinds if len(kinds) > 1 else ():  # of a single type the weight cancels out
        now = config.event_weights.get(kind, 1.0)
        yield (
            f"event_weights.{kind}",
            [
                config.model_copy(update={"event_weights": {**config.event_weights, kind: now * factor}})
                for factor in FACTORS
            ],
        )


def search(
    config: SpaceConfig,
    measure: Callable[[SpaceConfig], np.ndarray],
    kinds: Sequence[str] = (),
    tell: Tell = unheard,
) -> Iterator[tuple[Step, SpaceConfig]]:
    """Coordinate search: each setting at its best in turn, and leg weights again at the end, since all depend on them.

    ``measure`` gives a value per user, large where the list is good. Another value is kept only where its mean gain is
    more than its standard error (the one-standard-error rule, Breiman et al. 1984): of many values that are equally
    good one always looks better by chance. Yields what was kept after each setting.
    """
    kept = measure(config)
    names = [name for name, _ in settings(config, kinds)]
    for number, name in enumerate([*names, "weights"]):
        tried = [
            one
            for one in dict(settings(config, kinds))[name]
            if not kinds or any(one.event_weights.get(kind, 1.0) > 0 for kind in kinds)
        ]
        found = [(measure(one), one) for one in tried]
        best, better = max(found, key=lambda pair: float(pair[0].mean()), default=(kept, config))
        if more_than_luck(best - kept):
            kept, config = best, better
        tell("choosing", number + 1, len(names) + 1)
        yield Step(name, _read(config, name), float(kept.mean()), len(tried)), config


def more_than_luck(gain: np.ndarray) -> bool:
    """Whether a gain per user is above zero by more than its standard error."""
    return bool(gain.mean() > gain.std() / len(gain) ** 0.5)


def _read(config: SpaceConfig, name: str) -> Any:
    first, _, kind = name.partition(".")
    return config.event_weights.get(kind, 1.0) if kind else getattr(config, first)


class _Bench:
    """Measures configurations in a trial space; what a changed setting decides is made anew."""

    def __init__(self, client: QdrantClient, made: Space, config: SpaceConfig, limit: int) -> None:
        self._client, self._made, self._limit = client, made, limit
        self._first, self._fitting = config.folding, config.fitting
        self._folded: dict[Target, str] = {}

    def ndcg(self, config: SpaceConfig, targets: Sequence[Target]) -> np.ndarray:
        """NDCG of each target's list."""
        drive(spaces.create(self._made, config), self._client, NoQueue())
        if config.fitting != self._fitting:
            collab.fit(SpaceStore(self._client, self._made), config)
            self._fitting = config.fitting
        old = [one for one in targets if self._folded.get(one, self._first) != config.folding]
        fold(self._client, self._made, config, old, unheard)
        self._folded.update(dict.fromkeys(old, config.folding))
        return ndcg_of(self._client, self._made, targets, self._limit)


def tune(
    client: QdrantClient,
    space: Space,
    config: SpaceConfig,
    *,
    users: int = 800,
    limit: int = 10,
    seed: int = 0,
    tell: Tell = unheard,
) -> Tuning:
    """Choose settings on half of ``users`` random users, and confirm them on the other half. The space is only read.

    Raises :class:`InvalidInput` with fewer than 40 users who took two items.
    """
    split = hide_last(payloads(client, space), config, users, seed)
    targets = split.targets
    if len(targets) < 2 * LEAST:
        raise InvalidInput(
            f"space {space.name!r} has {len(targets)} users who took two items at different times: choosing settings "
            f"takes {2 * LEAST} or more; the defaults are meant for such spaces"
        )
    choosing, confirming = targets[: len(targets) // 2], targets[len(targets) // 2 :]
    with trial(client, space, config, split, tell) as made:
        kinds = sorted({event[Key.TYPE] for event in payloads(client, made)})
        bench = _Bench(client, made, config, limit)
        result = Tuning(limit, len(choosing), config, config, confirmed_on=len(confirming))
        for step, kept in search(config, lambda one: bench.ndcg(one, choosing), kinds, tell):
            result.steps.append(step)
            result.config = kept
        before, after = bench.ndcg(config, confirming), bench.ndcg(result.config, confirming)
    result.before, result.after = float(before.mean()), float(after.mean())
    result.better = more_than_luck(after - before)
    result.low, result.high = interval(after - before)
    result.p = p_value(after, before)
    return result
