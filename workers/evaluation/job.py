"""The job that tunes the settings of a space, and stores them if held-out users confirm the gain."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.jobs import TuneOptions
from llmrec_qdrant.contracts.messages import Message, Reconcile
from llmrec_qdrant.operations import creating
from llmrec_qdrant.operations.job_records import COMMITTED
from llmrec_qdrant.operations.steps import drive

from ..storage.lease import Done, Lease, Outcome
from ..storage.store import SpaceStore
from .journal import Journal
from .tune import Tuning, tune

__all__ = ["tune_settings"]

RESULT, CONFIG, JOURNAL = "result", "config", "journal"
"""Names in a job's cursor of the measured result, of the configuration to store, and of what was tried so far."""


def tune_settings(lease: Lease, store: SpaceStore) -> Outcome:
    """Handle a job of kind ``tune``. The result is saved in the job before it takes effect, so it is measured once."""
    options = TuneOptions.parse(lease.options)
    if RESULT not in lease.cursor:
        live = store.versions()[0]

        def report(what: str, done: float, total: float) -> None:
            lease.report(what, done, total)

        journal = Journal.of(lease.cursor.get(JOURNAL, {}), lambda stored: lease.advance(**{JOURNAL: stored}))
        tuning = tune(
            live, live.config(), users=options.users, limit=options.limit, seed=options.seed, minutes=options.minutes,
            journal=journal, report=report,
        )  # fmt: skip
        stored = tuning.better and not options.dry_run
        config = tuning.onto(store.config()).model_dump(mode="json") if stored else None
        lease.advance(**{RESULT: {**_figures(tuning), "stored": stored}, CONFIG: config, JOURNAL: {}})
        if stored:
            lease.report(COMMITTED, 0, 1)  # from now on it can no longer be cancelled
        lease.save()
    return Done(lease.cursor[RESULT], _store(store, lease.cursor[CONFIG]))


def _store(store: SpaceStore, config: dict[str, Any] | None) -> list[Message]:
    """Store the configuration; returns the messages that refresh users and items accordingly."""
    if config is None:
        return []
    drive(creating.configure(store.space, SpaceConfig.parse(config)), store.client, _DiscardingQueue())
    return [Reconcile(space=store.name)]


class _DiscardingQueue:
    """A queue that discards messages: this job sends its own at the end."""

    def send(self, message: Message) -> None:
        """Discard the message."""


def _figures(tuning: Tuning) -> dict[str, Any]:
    names = ("limit", "tried", "chosen_on", "confirmed_on", "before", "after", "low", "high", "p")
    figures = {name: getattr(tuning, name) for name in names}
    return {
        "changes": tuning.changes,
        **figures,
        "better": tuning.better,
        "steps": [asdict(step) for step in tuning.steps],
    }
