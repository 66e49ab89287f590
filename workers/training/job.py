"""The job that trains a model. Its checkpoint lies on disk, so a worker that takes it up goes on where the last one stopped."""

from __future__ import annotations

from pathlib import Path

from llmrec_qdrant.contracts.jobs import TrainOptions
from llmrec_qdrant.operations.clock import timestamp

from ..encoding import registry
from ..storage.lease import Done, Lease, Outcome
from ..storage.store import SpaceStore
from .recipe import Recipe
from .trainer import PUBLISHING, train

__all__ = ["checkpoint_folder", "recipe", "train_model"]


def train_model(lease: Lease, store: SpaceStore) -> Outcome:
    """Handle a job of kind ``train``."""
    options = TrainOptions.parse(lease.options)
    live = store.versions()[0]

    def report(what: str, done: float, total: float) -> None:
        stage, _, note = what.partition(": ")
        if note and done > lease.cursor.get(stage, 0):  # a training step that no worker had reached before
            lease.advance(**{stage: done})
        lease.report(stage, done, total, note)
        if stage == PUBLISHING:
            lease.save()  # fails for a cancelled job, even before a heartbeat notices: then no version is published

    version = train(
        live, live.config(), recipe(options), users=options.users, exclude_seen=options.exclude_seen,
        split=options.split, until=timestamp(lease.record.created_at), folder=checkpoint_folder(lease, store), report=report,
    )  # fmt: skip
    names = {"version": version.name, "size": version.size, "offered": version.offered}
    return Done({**names, "metrics": dict(version.metrics)})


def recipe(options: TrainOptions) -> Recipe:
    """Return the hyperparameters of the requested training."""
    return Recipe.of(options.method, epochs=options.epochs, seed=options.seed)


def checkpoint_folder(lease: Lease, store: SpaceStore) -> Path:
    """Return the folder of the checkpoint. Its name includes the request's time, as two Qdrants may have equal space names."""
    stamp = "".join(letter for letter in lease.record.created_at if letter.isdigit())
    return registry.folder() / f".run-{store.name}-{lease.id}-{stamp}"
