"""TODO: llmrec_qdrant.load.checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.columns import LoadKind
from llmrec_qdrant.load.sources import Source

__all__ = ["Checkpoint", "Done"]


@dataclass(frozen=True)
class Done:
    """How far a load has come."""

    row: int = 0
    at: int = 0
    """Bytes of the file."""
    rejected: int = 0
    rejects_size: int = 0
    """Bytes of the list of refused rows: what a crash added behind them is written again."""


@dataclass
class Checkpoint:
    """How far a file has been loaded, in a small file beside it, replaced after each acknowledged batch."""

    path: Path
    target: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, source: Source, kind: LoadKind, space: str, *, folder: Path | None = None, **more: Any
    ) -> Checkpoint | None:
        """The checkpoint of a file, in its folder or in ``folder``; None for what cannot be read from the middle.

        ``more`` is what else must be the same for the rows done to count, such as the Qdrant and the tenant.
        """
        if source.path is None or not source.path.is_file():
            return None
        found = source.path.stat()
        target = {"space": space, "kind": kind, "size": found.st_size, "modified": found.st_mtime, **more}
        return cls((folder or source.path.parent) / f"{source.path.name}.progress.json", target)

    def _stored(self) -> Mapping[str, Any] | None:
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return stored if isinstance(stored, dict) else {}

    @property
    def outdated(self) -> bool:
        """There is one, but of another load: the file has changed, or its target."""
        stored = self._stored()
        return stored is not None and {name: stored.get(name) for name in self.target} != dict(self.target)

    def read(self) -> Done:
        """What was done before; nothing if there is no checkpoint or it belongs to another load."""
        stored = self._stored()
        if not stored or self.outdated:
            return Done()
        numbers = (stored.get(name) for name in ("done", "at", "rejected", "rejects_size"))
        kept = [number if isinstance(number, int) and number >= 0 else None for number in numbers]
        return Done() if None in kept else Done(*(number or 0 for number in kept))

    def write(self, done: Done) -> None:
        """Record what is done.

        Raises :class:`InvalidInput` if the folder cannot be written to.
        """
        content = {
            **self.target, "done": done.row, "at": done.at, "rejected": done.rejected,
            "rejects_size": done.rejects_size,
        }  # fmt: skip
        scratch = self.path.with_suffix(".tmp")
        try:
            scratch.write_text(json.dumps(content), encoding="utf-8")
            os.replace(scratch, self.path)
        except OSError as error:
            raise InvalidInput(
                f"{str(self.path)!r} cannot be written ({error.strerror}): "
                "name a folder that can with --rejects FOLDER/FILE"
            ) from error

    def remove(self) -> None:
        """All rows are done."""
        self.path.unlink(missing_ok=True)
