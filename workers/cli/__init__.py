"""The commands of ``llmrec`` that need the workers: ``evaluate``, ``models``, ``worker``.

:mod:`llmrec_qdrant.cli.from_workers` plugs them in. Nothing heavy is imported before a command runs, so that
``llmrec --help`` stays quick.
"""

from __future__ import annotations

from llmrec_qdrant.cli.app import CommandSet

__all__ = ["register"]


def register(app: CommandSet) -> None:
    """Add the commands to the command line."""
    from .evaluate import evaluate
    from .models import models
    from .worker import worker

    app.command(rich_help_panel="Better lists")(evaluate)
    app.command(rich_help_panel="Better lists")(models)
    app.command(rich_help_panel="Work")(worker)
