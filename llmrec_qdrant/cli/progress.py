"""TODO: llmrec_qdrant.cli.progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from llmrec_qdrant.cli.printing import err

__all__ = ["bar"]


@contextmanager
def bar(label: str, total: float | None, quiet: bool = False, in_bytes: bool = False) -> Iterator[Callable[..., None]]:
    """A progress bar on a terminal, nothing elsewhere; call it with how much is done, a new total, and what is done now."""
    if quiet or not err.is_terminal:
        yield lambda done, total, what="": None
        return
    counted: list[ProgressColumn] = [TaskProgressColumn(show_speed=True), MofNCompleteColumn()]
    if in_bytes:
        counted = [TaskProgressColumn(), DownloadColumn(), TransferSpeedColumn()]
    columns = [TextColumn("{task.description}"), BarColumn(), *counted, TimeRemainingColumn()]
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(label, total=total)

        def update(done: float, total: float | None, what: str = "") -> None:
            progress.update(task, completed=done, total=total, description=f"{label}: {what}" if what else label)

        yield update
