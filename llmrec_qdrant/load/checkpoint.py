"""The checkpoint of a load: a small file beside the source, from which an interrupted load resumes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.columns import LoadKind
from llmrec_qdrant.load.sources import Source

__all__ = ["Checkpoint", "Done"]


@dataclass(frozen=True)
class Done:
    """The last acknowledged row, and what had been refused up to it."""

    row: int = 0
    at: int = 0
    """Position of the end of that row in the file, in bytes."""
    rejected: int = 0
    rejects_size: int = 0
    """Bytes of the list of refused rows; anything that a crash left after them is overwritten."""


@dataclass
class Checkpoint:
    """The file that records the progress of a load; replaced after each acknowledged batch."""

    path: Path
    target: Mapping[str, Any] = field(default_factory=dict)
    """Properties of the load; if one differs, the checkpoint belongs to another load."""

    @classmethod
    def of(
        cls, source: Source, kind: LoadKind, space: str, *, folder: Path | None = None, **more: Any
    ) -> Checkpoint | None:
        """Return the checkpoint of a file, in its folder or in ``folder``; None for a source that cannot be resumed.

        ``more`` extends the target, for example by the Qdrant and the tenant.
        """
        if source.path is None or not source.path.is_file():
            return None
        stat = source.path.stat()
        target = {"space": space, "kind": kind, "size": stat.st_size, "modified": stat.st_mtime, **more}
        return cls((folder or source.path.parent) / f"{source.path.name}.progress.json", target)

    def _stored(self) -> Mapping[str, Any] | None:
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return stored if isinstance(stored, dict) else {}

    @property
    def outdated(self) -> bool:
        """Whether the checkpoint belongs to another load: the file or its target has changed."""
        stored = self._stored()
        return stored is not None and {name: stored.get(name) for name in self.target} != dict(self.target)

    def read(self) -> Done:
        """Read how far the load had come; nothing without a checkpoint, or with one of another load."""
        stored = self._stored()
        if not stored or self.outdated:
            return Done()
        numbers = [stored.get(name) for name in ("done", "at", "rejected", "rejects_size")]
        valid = [number for number in numbers if isinstance(number, int) and number >= 0]
        return Done(*valid) if valid == numbers else Done()

    def write(self, done: Done) -> None:
        """Replace the checkpoint.

        Raises :class:`InvalidInput` if the folder cannot be written to, or a file of that name is no checkpoint.
        """
        if (stored := self._stored()) and not stored.keys() & {"done", "space"}:
            raise InvalidInput(
                f"{str(self.path)!r} exists and is no checkpoint of a load, so it is not overwritten: rename it, "
                "or choose another folder with --rejects FOLDER/FILE"
            )
        content = {
            **self.target, "done": done.row, "at": done.at, "rejected": done.rejected,
            "rejects_size": done.rejects_size,
        }  # fmt: skip
        try:
            with NamedTemporaryFile("w", dir=self.path.parent, prefix=".", suffix=".tmp", delete=False) as scratch:
                scratch.write(json.dumps(content))
            os.replace(scratch.name, self.path)
        except OSError as error:
            raise InvalidInput(
                f"{str(self.path)!r} cannot be written ({error.strerror}): "
                "choose a writable folder with --rejects FOLDER/FILE"
            ) from error

    def remove(self) -> None:
        """Delete the checkpoint: the load is complete."""
        self.path.unlink(missing_ok=True)
