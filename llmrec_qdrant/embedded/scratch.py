"""Temporary folders of ``:memory:``, also those that killed processes left behind."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from llmrec_qdrant.embedded.folder import Folder
from llmrec_qdrant.embedded.lock import LOCK, take_lock
from llmrec_qdrant.errors import LlmrecError, QdrantUnavailable

__all__ = ["open_scratch"]

PREFIX = "llmrec-memory-"
MEMORY = Path("/dev/shm")
MIN_MEMORY_BYTES = 1024**3
"""Free space below which ``/dev/shm`` is not used: a container has 64 MiB of it by default."""


def open_scratch() -> Folder:
    """Open a new temporary folder, in memory where the system has enough; delete those that dead processes left."""
    parent = _parent()
    _remove_leftovers(parent)
    while True:
        with suppress(QdrantUnavailable):  # another process took it for a leftover before it was locked
            return Folder(tempfile.mkdtemp(prefix=PREFIX, dir=parent))


def _parent() -> Path:
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MIN_MEMORY_BYTES:
        return MEMORY
    return Path(tempfile.gettempdir())


def _remove_leftovers(parent: Path) -> None:
    """Delete this user's scratch folders whose lock is free; a folder without a lock is just being created."""
    for path in parent.glob(f"{PREFIX}*"):
        with suppress(LlmrecError, OSError):
            mine = not hasattr(os, "getuid") or path.lstat().st_uid == os.getuid()
            if not mine or path.is_symlink() or not (path / LOCK).is_file():
                continue
            handle = take_lock(path)
            shutil.rmtree(path, ignore_errors=True)
            os.close(handle)
