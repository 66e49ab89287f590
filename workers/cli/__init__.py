"""The commands of ``llmrec`` that need the workers: ``evaluate``, ``tune``, ``train``, ``models``, ``worker``.

:mod:`llmrec_qdrant.cli.from_workers` plugs them in. Nothing heavy is imported before a command runs, so that
``llmrec --help`` stays quick.
"""

from __future__ import annotations

from llmrec_qdrant.cli.app import CommandSet

__all__ = ["register"]


def register(app: CommandSet) -> None:
    """Add the commands to the command line."""
    from . import evaluate, train, tune, worker

    app.command()(evaluate.evaluate)
    app.command()(tune.tune)
    app.command()(train.train)
    app.command()(train.models)
    app.command()(worker.worker)
