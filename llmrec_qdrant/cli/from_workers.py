"""Adds the commands of the workers or, if these are not installed, placeholders that say what to install."""

from __future__ import annotations

from collections.abc import Callable

import typer

from llmrec_qdrant.cli.app import CommandSet, app
from llmrec_qdrant.errors import MissingDependency
from llmrec_qdrant.queues.inline import inline_available, worker_module
from llmrec_qdrant.queues.none import INSTALL

__all__ = ["WORKER_COMMANDS", "register"]


WORKER_COMMANDS = {
    "evaluate": "Measure how good the lists are, on held-out items.",
    "models": "List the trained models of the space, with their figures.",
    "worker": "Start a worker and the clock that looks for pending work.",
}
"""Command of the workers → its summary."""


def register(app: CommandSet) -> None:
    """Add the commands of the workers to ``app``. The workers' libraries are imported when a command runs, not here."""
    if inline_available():
        worker_module("cli").register(app)
        return
    for name, summary in WORKER_COMMANDS.items():
        app.command(
            name,
            help=f"{summary} Needs the workers: {INSTALL}",
            rich_help_panel="Better lists" if name != "worker" else "Work",
            context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        )(_stand_in(name))


def _stand_in(name: str) -> Callable[[typer.Context], None]:
    def refuse(context: typer.Context) -> None:
        raise MissingDependency(f"`llmrec {name}` needs the workers: {INSTALL}")

    return refuse


register(app)
