"""The job that tunes the settings of a space, and stores what held-out users confirm."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.jobs import TuneOptions
from llmrec_qdrant.contracts.messages import Message, Reconcile
from llmrec_qdrant.operations import spaces
from llmrec_qdrant.operations.steps import drive

from ..storage.lease import Done, Lease, Outcome
from ..storage.store import SpaceStore
from .tune import Tuning, tune

__all__ = ["tune_settings"]

RESULT, CONFIG = "result", "config"
"""Names in the cursor of a job: what was measured, and the configuration that is to be stored."""


def tune_settings(lease: Lease, store: SpaceStore) -> Outcome:
    """Handle a job of kind ``tune``. What was measured is kept before it is stored, so it is measured once."""
    options = TuneOptions.parse(lease.options)
    if RESULT not in lease.cursor:
        live = store.versions()[0]

        def report(what: str, done: float, total: float) -> None:
            lease.report(what, done, total)

        tuning = tune(live, live.config(), users=options.users, limit=options.limit, seed=options.seed, report=report)
        stored = tuning.better and not options.dry_run
        config = tuning.onto(store.config()).model_dump(mode="json") if stored else None
        lease.advance(**{RESULT: {**_figures(tuning), "stored": stored}, CONFIG: config})
        lease.save()
    return Done(lease.cursor[RESULT], _store(store, lease.cursor[CONFIG]))


def _store(store: SpaceStore, config: dict[str, Any] | None) -> list[Message]:
    """Store the configuration; users and items follow it by the messages."""
    if config is None:
        return []
    drive(spaces.configure(store.space, SpaceConfig.parse(config)), store.client, _Dropped())
    return [Reconcile(space=store.name)]


class _Dropped:
    """A queue whose messages this job sends itself, once it has ended."""

    def send(self, message: Message) -> None:
        """Drop it."""


def _figures(tuning: Tuning) -> dict[str, Any]:
    names = ("limit", "chosen_on", "confirmed_on", "before", "after", "low", "high", "p")
    figures = {name: getattr(tuning, name) for name in names}
    return {
        "changes": tuning.changes,
        **figures,
        "better": tuning.better,
        "steps": [asdict(step) for step in tuning.steps],
    }
