"""The folder of an embedded Qdrant: one Qdrant Edge shard per collection, and a catalogue of what a shard does not know.

::

    catalogue.json        collections (vectors, metadata, indexes) and aliases; replaced in one step
    lock                  locked by the process that has the folder open; holds its process id
    collections/NAME.ID/  one shard

A shard whose folder the catalogue does not name is left over from a crash, and is removed when the folder is opened.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from llmrec_qdrant.embedded.lock import LOCK, take_lock
from llmrec_qdrant.errors import InvalidInput, QdrantRefused, QdrantUnavailable, SpaceMismatch

__all__ = ["Collection", "Folder"]

FOLDER_FORMAT = 1
"""Version of the folder format; raised when older folders can no longer be read."""
SCRATCH = "catalogue.tmp"
"""Name of the next catalogue while it is written."""
_SHARD = re.compile(r".+\.[0-9a-f]{8}")
MIN_FREE_BYTES = 128 * 1024**2
"""Free space below which nothing is written: the engine writes through memory maps, and a full disk would kill the process."""


@dataclass(frozen=True)
class Collection:
    """The entry of a collection in the catalogue."""

    folder: str
    spec: dict[str, Any]
    """Vector parameters, as JSON of the Qdrant client's models."""
    metadata: dict[str, Any] = field(default_factory=dict)
    indexes: dict[str, Any] = field(default_factory=dict)


class Folder:
    """A locked folder and its catalogue.

    ``collections`` and ``aliases`` are replaced, never changed, so a thread may read them while another one saves; the
    client sees to it that only one thread saves at a time.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.collections: Mapping[str, Collection] = {}
        self.aliases: Mapping[str, str] = {}
        self.process = os.getpid()
        self._lock = take_lock(self.path)
        try:
            self._read()
        except BaseException:
            self.close()
            raise

    # --- opening ------------------------------------------------------------------------------

    def _read(self) -> None:
        if (self.path / "meta.json").is_file():
            raise SpaceMismatch(
                f"{str(self.path)!r} was written by the pure Python mode of the Qdrant client, which is no longer used: load "
                "your items and events anew into another folder"
            )
        catalogue = self.path / "catalogue.json"
        if not catalogue.is_file():
            self._refuse_foreign()
            self.save()  # first of all, so that shards without a catalogue mean that it was lost
            return
        try:
            stored = json.loads(catalogue.read_text(encoding="utf-8"))
            if stored["format"] != FOLDER_FORMAT:
                raise ValueError(f"format {stored['format']!r}, this version reads format {FOLDER_FORMAT}")
            self.collections = {name: Collection(**entry) for name, entry in stored["collections"].items()}
            self.aliases = stored["aliases"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInput(
                f"{str(catalogue)!r} cannot be read ({error}): restore the folder from a copy"
            ) from error
        self._remove_leftovers()

    def _refuse_foreign(self) -> None:
        names = sorted(entry.name for entry in self.path.iterdir() if entry.name not in {LOCK, SCRATCH})
        if "collections" in names:
            raise InvalidInput(
                f"{str(self.path / 'catalogue.json')!r} is missing beside a folder 'collections': restore it from a copy, or "
                "name a folder that is empty or does not exist"
            )
        if names:
            raise InvalidInput(
                f"{str(self.path)!r} holds other files ({', '.join(names[:3])}): name a folder that is empty or does not exist"
            )

    def _remove_leftovers(self) -> None:
        known = {entry.folder for entry in self.collections.values()}
        for folder in (self.path / "collections").glob("*"):
            if folder.name not in known and _SHARD.fullmatch(folder.name):
                shutil.rmtree(folder, ignore_errors=True)

    # --- while open ---------------------------------------------------------------------------

    def check_process(self) -> None:
        """Raise :class:`QdrantUnavailable` in a process that was forked while the folder was open."""
        if os.getpid() != self.process:
            raise QdrantUnavailable(
                f"the embedded Qdrant in {str(self.path)!r} was opened by process {self.process}, from which this one was "
                "forked: connect in one process only, or run a Qdrant server, which serves many"
            )

    def check_space(self) -> None:
        """Raise :class:`QdrantRefused` if the disk is nearly full."""
        try:
            free = shutil.disk_usage(self.path).free
        except OSError as error:
            raise QdrantUnavailable(
                f"the folder {str(self.path)!r} of embedded Qdrant is gone ({error.strerror}): restore it from a copy"
            ) from error
        if free < MIN_FREE_BYTES:
            raise QdrantRefused(
                f"nothing was written: the disk of {str(self.path)!r} has {free / 1024**2:.0f} MiB left, and embedded Qdrant "
                f"needs {MIN_FREE_BYTES / 1024**2:.0f}: free some space"
            )

    def save(
        self, collections: Mapping[str, Collection] | None = None, aliases: Mapping[str, str] | None = None
    ) -> None:
        """Replace the collections or the aliases, or both in one step; durable when this returns.

        Raises :class:`QdrantRefused` if it cannot be written: then nothing has changed.
        """
        collections = self.collections if collections is None else collections
        aliases = self.aliases if aliases is None else aliases
        content = {
            "format": FOLDER_FORMAT,
            "collections": {name: asdict(entry) for name, entry in collections.items()},
            "aliases": dict(aliases),
        }
        try:
            _replace(self.path / "catalogue.json", json.dumps(content, ensure_ascii=False, indent=1))
        except OSError as error:
            raise QdrantRefused(
                f"embedded Qdrant cannot write to {str(self.path)!r} ({error.strerror}): nothing was changed"
            ) from error
        self.collections, self.aliases = collections, aliases

    def new_entry(self, name: str, spec: Mapping[str, Any], metadata: Mapping[str, Any]) -> Collection:
        """An entry for a new collection, not yet in the catalogue: its shard comes first."""
        (self.path / "collections").mkdir(exist_ok=True)
        return Collection(f"{name}.{uuid.uuid4().hex[:8]}", dict(spec), deepcopy(dict(metadata)))

    def shard(self, entry: Collection) -> Path:
        """Return the path of a collection's shard."""
        return self.path / "collections" / entry.folder

    def close(self) -> None:
        """Let another process open the folder."""
        os.close(self._lock)


def _replace(path: Path, text: str) -> None:
    """Replace a file in one step, durable when this returns: a crash leaves the old file or the new one."""
    scratch = path.with_name(SCRATCH)
    with scratch.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(scratch, path)
    if hasattr(os, "O_DIRECTORY"):  # Windows cannot sync a folder
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
