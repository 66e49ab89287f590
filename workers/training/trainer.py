"""Runs a training, from the events of a space to a version in the registry.

Some events are held out (:mod:`workers.evaluation.splits`); the model learns from the rest. After each epoch, its vectors
are written into a trial space, and real requests of half of the users choose the best epoch. The other half, the held-out
users, decides whether the model beats the current one. Towers then learn once more from all events, for the same number
of epochs. A killed training resumes from its checkpoint, with the same batches.
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import asdict, replace
from pathlib import Path

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.jobs import Hide
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.operations.clock import timestamp
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.testing import HASH_MODEL

from ..encoding import registry
from ..evaluation.heartbeat import beat
from ..evaluation.metrics import MIN_USERS
from ..evaluation.report import Report, no_report
from ..evaluation.splits import Halves, Split, hide_last, hide_next
from ..evaluation.trial_copy import event_payloads
from ..evaluation.trial_space import trial
from ..storage.store import SpaceStore
from .baseline import measure_baseline
from .candidate import Candidate
from .checkpoint import Checkpoints, Progress
from .comparison import Outcome, compare
from .epochs import Epochs
from .evaluator import Evaluator, boosted
from .examples import digest
from .factory import LearnerFactory, base_of
from .learner import Learner
from .recipe import Recipe

__all__ = ["PUBLISHING", "train"]

log = logging.getLogger("llmrec.worker")

WORTH_REPEATING = 1.05
"""Growth of the number of examples, with the held-out events, from which towers learn once more from all events."""

PUBLISHING = "publishing"
"""Last stage that is reported: from then on the version exists."""


def train(
    store: SpaceStore,
    config: SpaceConfig,
    recipe: Recipe,
    *,
    users: int = 1_000,
    limit: int = 10,
    exclude_seen: bool = True,
    split: Hide = "last",
    until: float = float("inf"),
    folder: Path | None = None,
    report: Report = no_report,
) -> registry.Version:
    """Train a model on the events of a space before ``until`` (Unix seconds), and publish it as a version.

    ``exclude_seen`` says whether lists exclude items that the user took, as in :meth:`Recommender.recommend`. ``split``
    holds out what each user took last (``last``) or the latest tenth of all events (``time``); with ``time``, times are
    assumed to compare between users, and newer examples weigh more. ``folder`` holds the checkpoints and is deleted at the
    end. Raises :class:`InvalidInput` with fewer than 40 users who took two items at different times.
    """
    folder = folder or registry.folder() / f".run-{store.name}"
    folder.mkdir(parents=True, exist_ok=True)
    parts = _split(store, config, split, users, recipe.seed, until, repeats=not exclude_seen)
    boost = recipe.dense_boost if base_of(config) == config else 1.0  # weights of trained towers are boosted already
    evaluator = Evaluator(config.weights, boosted(config.weights, boost), limit, exclude_seen, report)
    factory = LearnerFactory(store, config, recipe, exclude_seen=exclude_seen, dated=parts.in_time, report=report)
    version = _Training(store, config, recipe, parts, until, factory, evaluator, folder).run()
    shutil.rmtree(folder, ignore_errors=True)
    return version


def _split(
    store: SpaceStore, config: SpaceConfig, kind: Hide, users: int, seed: int, until: float, *, repeats: bool
) -> Split:
    """Split the events; nothing since ``until`` is known.

    Raises :class:`InvalidInput` with too few targets.
    """
    past = (event for event in event_payloads(store) if timestamp(event[Key.TS]) < until)
    hide = hide_last if kind == "last" else hide_next
    parts = hide(past, config, users, seed, repeats=repeats)
    if len(parts.targets) < 2 * MIN_USERS:
        recently = ", the second of them recently" if kind == "time" else ""
        raise InvalidInput(
            f"space {store.name!r} has {len(parts.targets)} user{'s'[: len(parts.targets) != 1]} who took two items at different times{recently}; training "
            f"needs at least {2 * MIN_USERS}, to measure whether the model is better: collect more events first"
        )
    return replace(parts, cutoff=min(parts.cutoff, until))


class _Training:
    """One training; all of its state is in its folder."""

    def __init__(
        self, store: SpaceStore, config: SpaceConfig, recipe: Recipe, split: Split, until: float,
        factory: LearnerFactory, evaluator: Evaluator, folder: Path,
    ) -> None:  # fmt: skip
        self._store, self._config, self._recipe = store, config, recipe
        self._split, self._until = split, until
        self._factory, self._evaluator, self._folder = factory, evaluator, folder

    def run(self) -> registry.Version:
        """Train, resuming from the latest checkpoint, and publish the version."""
        examples = self._factory.examples(self._split.hides)
        if not len(examples):
            raise InvalidInput(
                f"space {self._store.name!r} has no user who took one item after another: collect more events first"
            )
        data = digest(self._factory.catalogue, examples)
        learner, epochs = self._factory.learner(examples, self._split.hides), self._epochs(data)
        before = measure_baseline(self._store, self._config, self._split, self._evaluator, self._folder)
        after = self._choose(learner, epochs)
        metrics = compare(before, after, self._evaluator.limit) | {
            "epochs": epochs.progress.best,
            "NDCG by epoch": [round(ndcg, 4) for ndcg in epochs.progress.evaluations],
            "loss by epoch": [round(loss, 4) for loss in epochs.progress.losses],
            "users": len(before.dense),
        }
        learner = self._from_everything(learner, epochs, len(examples))
        version = replace(
            self._factory.version(learner), data=data, metrics=metrics, offered=metrics["verdict"] == "better"
        )
        self._evaluator.report(PUBLISHING, 0, 1)
        return registry.publish(learner.save, version)

    def _epochs(self, data: str) -> Epochs:
        """Return the training loops at the progress of the latest checkpoint."""
        checkpoints = Checkpoints(self._folder)
        identity = f"{data} {json.dumps(asdict(self._recipe))}"
        progress = checkpoints.latest(identity)
        if progress:
            log.info("the training of %s resumes at step %d", self._store.name, progress.step)
        return Epochs(self._recipe, checkpoints, progress or Progress(identity), self._evaluator.report)

    def _choose(self, learner: Learner, epochs: Epochs) -> Outcome:
        """Choose the number of epochs and measure the best state on held-out users."""
        wanted = self._config.model_copy(update={"model": HASH_MODEL, "size": learner.size})
        halves = Halves.of(self._split.targets)
        with trial(self._store, wanted, self._split, self._evaluator.report, blank=True) as copy:
            candidate = Candidate(
                copy, wanted, self._factory.catalogue, self._evaluator, self._folder, self._factory.version(learner)
            )
            epochs.choose(learner, lambda: candidate.ndcg(learner, halves.choosing), lambda: beat(copy))
            return candidate.outcome(learner, halves)

    def _from_everything(self, chosen: Learner, epochs: Epochs, examples: int) -> Learner:
        """Let towers learn once more, with the held-out events, unless these add next to nothing."""
        if self._recipe.method != "towers":
            return chosen
        hides = Split((), {}, self._until).hides
        everything = self._factory.examples(hides)
        if len(everything) < WORTH_REPEATING * examples:
            return chosen
        learner = self._factory.learner(everything, hides)
        epochs.repeat(learner)
        return learner
