"""The folder of an embedded Qdrant: one Qdrant Edge shard per collection, and a catalogue of what a shard does not know.

::

    catalogue.json        collections (vectors, metadata, indexes) and aliases; replaced in one step
    lock                  held by the process that has the folder open
    collections/NAME.ID/  one shard

A shard whose folder the catalogue does not name is left over from a crash, and is removed when the folder is opened.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import portalocker

from llmrec_qdrant.errors import InvalidInput, QdrantUnavailable, SpaceMismatch

__all__ = ["Collection", "Folder", "scratch_folder"]

FOLDER_FORMAT = 1
"""Version of the folder format; raised when older folders can no longer be read."""


@dataclass
class Collection:
    """The entry of a collection in the catalogue."""

    folder: str
    spec: dict[str, Any]
    """Vector parameters, as JSON of the Qdrant client's models."""
    metadata: dict[str, Any] = field(default_factory=dict)
    indexes: dict[str, Any] = field(default_factory=dict)


class Folder:
    """A locked folder and its catalogue. Not safe to change from two threads at once: the client locks."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.collections: dict[str, Collection] = {}
        self.aliases: dict[str, str] = {}
        self._lock = self._locked()
        try:
            self._read()
        except BaseException:
            self.close()
            raise

    def _locked(self) -> int:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise InvalidInput(
                f"{str(self.path)!r} cannot be used as a folder of embedded Qdrant ({error.strerror}): name a folder "
                "that can be written to"
            ) from error
        try:
            portalocker.lock(handle, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except portalocker.LockException:
            os.close(handle)
            raise QdrantUnavailable(
                f"another process has the embedded Qdrant in {str(self.path)!r} open: close it, or run a Qdrant server, "
                "which serves many"
            ) from None
        return handle

    def _read(self) -> None:
        if (self.path / "meta.json").is_file():
            raise SpaceMismatch(
                f"{str(self.path)!r} was written by the pure Python mode of the Qdrant client, which is no longer used: load "
                "your items and events anew into another folder"
            )
        catalogue = self.path / "catalogue.json"
        if not catalogue.is_file():
            self._refuse_foreign()
            return
        try:
            stored = json.loads(catalogue.read_text(encoding="utf-8"))
            if stored["format"] != FOLDER_FORMAT:
                raise ValueError(f"format {stored['format']!r}, this version reads format {FOLDER_FORMAT}")
            self.collections = {name: Collection(**entry) for name, entry in stored["collections"].items()}
            self.aliases = stored["aliases"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidInput(
                f"{str(catalogue)!r} cannot be read ({error}): restore the folder from a copy"
            ) from error
        self._remove_leftovers()

    def _refuse_foreign(self) -> None:
        names = sorted(entry.name for entry in self.path.iterdir() if entry.name not in {"lock", "collections"})
        if names:
            raise InvalidInput(
                f"{str(self.path)!r} holds other files ({', '.join(names[:3])}): name a folder that is empty or does not exist"
            )

    def _remove_leftovers(self) -> None:
        known = {entry.folder for entry in self.collections.values()}
        for folder in (self.path / "collections").glob("*"):
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)

    def save(self) -> None:
        """Write the catalogue, durable when this returns."""
        content = {
            "format": FOLDER_FORMAT,
            "collections": {name: asdict(entry) for name, entry in self.collections.items()},
            "aliases": self.aliases,
        }
        scratch = self.path / "catalogue.tmp"
        with scratch.open("w", encoding="utf-8") as handle:
            json.dump(content, handle, ensure_ascii=False, indent=1)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(scratch, self.path / "catalogue.json")

    def new_entry(self, name: str, spec: Mapping[str, Any], metadata: Mapping[str, Any]) -> Collection:
        """An entry for a new collection, not yet in the catalogue: its shard comes first."""
        (self.path / "collections").mkdir(exist_ok=True)
        return Collection(f"{name}.{uuid.uuid4().hex[:8]}", dict(spec), dict(metadata))

    def shard(self, entry: Collection) -> Path:
        """Return the path of a collection's shard."""
        return self.path / "collections" / entry.folder

    def close(self) -> None:
        """Let another process open the folder."""
        os.close(self._lock)


def scratch_folder() -> str:
    """Create a temporary folder, in memory where the system offers that."""
    memory = Path("/dev/shm")
    return tempfile.mkdtemp(prefix="llmrec-", dir=memory if memory.is_dir() else None)
