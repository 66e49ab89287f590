"""Opens a file as UTF-8 bytes: what it is compressed with and encoded in is read from its first bytes, not from its name."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from llmrec_qdrant.errors import InvalidInput, MissingDependency

__all__ = ["CHUNK", "Prefixed", "Recoded", "compression_of", "decompressed", "reading"]

CHUNK = 1 << 20
"""Bytes per read."""

MAGIC = {
    b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "Zstandard", b"PK\x03\x04": "zip",
}  # fmt: skip
"""First bytes → what a file is compressed with."""

DAMAGE: tuple[type[Exception], ...] = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""What the decompressors raise for a file that is damaged or cut off."""


def compression_of(head: bytes) -> str:
    r"""Name what a file with these first bytes is compressed with; empty if it is not.

    >>> compression_of(b"\x1f\x8b\x08"), compression_of(b"id,title")
    ('gzip', '')
    """
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), "")


def decompressed(handle: IO[bytes], compression: str, name: str) -> IO[bytes]:
    """Return the content of a compressed stream as a stream.

    Raises :class:`InvalidInput` for a spreadsheet or an archive of several files, :class:`MissingDependency` without pyarrow
    for Zstandard.
    """
    openers: dict[str, Callable[[Any], Any]] = {
        "gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open, "Zstandard": _zstandard,
        "zip": lambda stream: _only_member(stream, name),
    }  # fmt: skip
    return io.BufferedReader(openers[compression](handle), CHUNK) if compression else handle


def _zstandard(handle: IO[bytes]) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise MissingDependency("Zstandard needs pyarrow: pip install 'llmrec-qdrant[load]'") from None
    return _Frames(handle, pyarrow)


class _Frames(io.RawIOBase):
    """The content of a Zstandard file."""

    def __init__(self, handle: IO[bytes], arrow: Any) -> None:
        self._arrow = arrow
        self._stream = arrow.CompressedInputStream(arrow.PythonFile(handle, mode="r"), "zstd")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read(len(buffer))
        except self._arrow.ArrowException as error:
            raise OSError(str(error)) from None
        buffer[: len(data)] = data
        return len(data)


def _only_member(handle: IO[bytes], name: str) -> Any:
    """Open the one file of a zip archive."""
    if not handle.seekable():
        raise InvalidInput("a zip archive cannot be read from standard input: save it to a file first")
    archive = zipfile.ZipFile(handle)
    members = [
        member for member in archive.namelist() if not member.endswith("/") and not member.startswith("__MACOSX")
    ]
    if "[Content_Types].xml" in members:
        raise InvalidInput(f"{name!r} is a workbook of Excel, which is not read: save the sheet as 'CSV UTF-8'")
    if len(members) != 1:
        listed = ", ".join(members[:5])
        raise InvalidInput(f"{name!r} holds {len(members)} files ({listed}): unpack it and load them one by one")
    return archive.open(members[0])


class Prefixed(io.RawIOBase):
    """A stream whose first bytes have been read already."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the first bytes, then the rest."""
        data = self._head[: len(buffer)]
        if data:
            self._head = self._head[len(data) :]
        else:
            read: Callable[[int], bytes] = getattr(self._rest, "read1", self._rest.read)
            data = read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Recoded(io.RawIOBase):
    """A stream of another encoding as UTF-8; bytes that the encoding does not know stay as they are."""

    def __init__(self, handle: IO[bytes], encoding: str) -> None:
        self._handle = handle
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogateescape" if "16" not in encoding else "replace")
        self._ready = b""
        self._ended = False

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Decode some bytes, and encode them as UTF-8."""
        while not self._ready and not self._ended:
            raw = self._handle.read(CHUNK)
            self._ended = not raw
            self._ready = self._decoder.decode(raw, final=not raw).encode("utf-8", "surrogateescape")
        data, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Translate the errors of a damaged file.

    Raises :class:`InvalidInput`.
    """
    try:
        yield
    except DAMAGE as error:
        raise InvalidInput(
            f"{name!r} is damaged or cut off ({str(error)[:120]}): rows before that are stored; get the file again"
        ) from error
