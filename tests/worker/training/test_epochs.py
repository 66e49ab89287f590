"""The loops of a training with a learner that counts, stopped at any place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from workers.evaluation.report import no_report
from workers.training import epochs as loops
from workers.training.checkpoint import Checkpoints, Progress
from workers.training.epochs import Epochs
from workers.training.learner import Learner
from workers.training.recipe import Recipe

CURVE = [0.1, 0.2, 0.5, 0.4, 0.3, 0.2]
"""NDCG by epoch: the third evaluation is the best, two later ones end the training with a patience of 2."""


class Stopped(Exception):
    """The process dies here."""


class Counter(Learner):
    """Its state is the number of steps it took."""

    steps = 3

    def __init__(self) -> None:
        self.taken = 0

    def step(self, number: int, total: int) -> float:
        assert number == self.taken
        self.taken += 1
        return float(number)

    def _loss(self, number: int) -> Tensor:
        raise AssertionError("an epoch does not ask for this")

    def state(self) -> dict[str, Tensor]:
        return {"taken": torch.tensor(self.taken)}

    def load(self, state: dict[str, Tensor]) -> None:
        self.taken = int(state["taken"])

    def rows(self) -> np.ndarray:
        raise AssertionError("an epoch does not ask for this")

    def save(self, folder: Path) -> None:
        raise AssertionError("an epoch does not ask for this")

    @property
    def size(self) -> int:
        return 1


def life(folder: Path, dies_after: int | None = None) -> tuple[Progress, Counter]:
    """One process, which dies after so many steps, evaluations and writes."""
    recipe, checkpoints = Recipe(epochs=6, patience=2), Checkpoints(folder)
    calls = 0

    def live() -> None:
        nonlocal calls
        calls += 1
        if dies_after is not None and calls > dies_after:
            raise Stopped

    def dying(write):  # type: ignore[no-untyped-def]
        def then(*args: object) -> None:
            live()
            write(*args)

        return then

    checkpoints.save, checkpoints.save_best = dying(checkpoints.save), dying(checkpoints.save_best)  # type: ignore[method-assign]
    loop = Epochs(recipe, checkpoints, checkpoints.latest("x") or Progress("x"), lambda *given: live())
    learner = Counter()

    def evaluate() -> float:
        live()
        return CURVE[learner.taken // learner.steps]

    loop.choose(learner, evaluate, lambda: None)
    assert learner.taken == 2 * 3  # the best state
    again = Counter()
    loop.repeat(again)
    return loop.progress, again


@pytest.mark.parametrize("seconds", [-1.0, 1e9])
def test_a_training_that_stops_anywhere_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Also during an evaluation, which must be repeated, and between the writes of the best and the current state."""
    monkeypatch.setattr(loops, "CHECKPOINT_SECONDS", seconds)
    (tmp_path / "whole").mkdir()
    expected, again = life(tmp_path / "whole")
    assert expected.losses == [1.0, 4.0, 7.0, 10.0]  # the means of steps 0 to 2, 3 to 5, …
    assert (expected.evaluations, expected.best, again.taken) == (CURVE[:5], 2, 2 * 3)
    for place in range(200):
        folder = tmp_path / f"{place}"
        folder.mkdir()
        try:
            life(folder, place)
        except Stopped:
            progress, again = life(folder)
            assert (progress.evaluations, progress.best, again.taken) == (CURVE[:5], 2, 2 * 3)
        else:
            break
    assert place > 20


def test_a_training_with_other_data_or_another_recipe_starts_over(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.latest("x") is None
    checkpoints.save(Counter(), Progress("x", step=4))
    assert checkpoints.latest("y") is None
    assert checkpoints.latest("x") == Progress("x", step=4)


def test_without_patience_every_epoch_is_taken(tmp_path: Path) -> None:
    loop = Epochs(Recipe(epochs=2, patience=9), Checkpoints(tmp_path), Progress("x"), no_report)
    learner = Counter()
    loop.choose(learner, lambda: 0.5, lambda: None)
    assert (loop.progress.evaluations, loop.progress.best, learner.taken) == ([0.5, 0.5, 0.5], 0, 0)
