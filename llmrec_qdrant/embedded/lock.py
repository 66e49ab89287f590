"""The lock of a folder. The system frees it when the process that holds it ends, however it ends."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from llmrec_qdrant.errors import InvalidInput, QdrantUnavailable

__all__ = ["LOCK", "take_lock"]

LOCK = "lock"
"""Name of the file that is locked; it holds the id of the process that locked it last."""


def take_lock(folder: Path) -> int:
    """Lock a folder, creating it if it is missing; returns the handle whose closing frees it.

    Raises :class:`InvalidInput` if it cannot be written to or locked, :class:`QdrantUnavailable` if it is open already.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise InvalidInput(
            f"{str(folder)!r} cannot be used as a folder of embedded Qdrant ({error.strerror}): name a folder that can be "
            "written to"
        ) from error
    try:
        _lock(handle)
    except (BlockingIOError, PermissionError):  # the second on Windows
        refusal = _refusal(folder, handle)
        os.close(handle)
        raise refusal from None
    except OSError as error:  # some network file systems cannot
        os.close(handle)
        raise InvalidInput(
            f"no file in {str(folder)!r} can be locked ({error.strerror}): name a folder on a disk of this machine"
        ) from error
    with suppress(OSError):  # of a full disk: the id is for people only
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
    return handle


def _lock(handle: int) -> None:
    """Lock an open file, or raise :class:`OSError`. The portalocker package would do the same, and load the client of Redis."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _refusal(folder: Path, handle: int) -> QdrantUnavailable:
    """Say which process has the folder open."""
    holder = ""
    with suppress(OSError, UnicodeDecodeError):  # Windows lets nobody read a locked file
        holder = os.read(handle, 20).decode("ascii")
    if holder == str(os.getpid()):
        return QdrantUnavailable(
            f"this process already has the embedded Qdrant in {str(folder)!r} open: share that recommender among threads, or "
            "close it first"
        )
    process = f"another process (id {holder})" if holder.isdigit() else "another process"
    return QdrantUnavailable(
        f"{process} has the embedded Qdrant in {str(folder)!r} open: close it, or run a Qdrant server, which serves many"
    )
