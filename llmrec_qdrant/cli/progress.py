"""Progress bars on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

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

__all__ = ["Update", "bar"]


class Update(Protocol):
    """Updates a bar: units done, units in total (None: unknown), and the current stage."""

    def __call__(self, done: float, total: float | None, stage: str = "", /) -> None:
        """Show the progress."""


@contextmanager
def bar(label: str, total: float | None, quiet: bool = False, in_bytes: bool = False) -> Iterator[Update]:
    """Show a progress bar with percentage, rate and time left while the block runs; nothing without a terminal."""
    if quiet or not err.is_terminal:
        yield lambda done, total, stage="": None
        return
    counted: list[ProgressColumn] = [TaskProgressColumn(show_speed=True), MofNCompleteColumn()]
    if in_bytes:
        counted = [TaskProgressColumn(), DownloadColumn(), TransferSpeedColumn()]
    columns = [TextColumn("{task.description}"), BarColumn(), *counted, TimeRemainingColumn()]
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(label, total=total)

        def update(done: float, total: float | None, stage: str = "", /) -> None:
            progress.update(task, completed=done, total=total, description=f"{label}: {stage}" if stage else label)

        yield update
