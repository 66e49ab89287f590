"""Recognises the encoding of a text: by its byte order mark, as UTF-8, or by what its bytes spell."""

from __future__ import annotations

import codecs
from typing import IO

from llmrec_qdrant.errors import InvalidInput, MissingDependency
from llmrec_qdrant.load.opening import CHUNK

__all__ = ["UTF8", "checked_encoding", "encoding_of"]

UTF8 = "utf-8"

MARKS = {
    codecs.BOM_UTF8: UTF8, codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
"""Byte order mark → encoding; the marks of UTF-32 come first, since that of UTF-16 begins like them."""

CANDIDATES = ("gb18030", "big5", "shift_jis", "euc_kr", "cp1252", "cp1251", "cp1250", "cp1253", "cp1254")
"""Encodings that tables are found in, more frequent ones first."""

MAX_SCANNED = 256 * CHUNK
"""Bytes that are read to tell UTF-8 from other encodings."""

MAX_SAMPLE = 100_000
"""Bytes around those that are not UTF-8, from which the encoding is guessed."""


def checked_encoding(name: str) -> str:
    """Return Python's name of an encoding.

    Raises :class:`InvalidInput` for one that Python does not know.

    >>> checked_encoding("Latin1"), checked_encoding("GBK")
    ('iso8859-1', 'gbk')
    """
    try:
        known = codecs.lookup(name)
    except (LookupError, ValueError):
        known = None
    if known is None or not known._is_text_encoding:
        raise InvalidInput(f"--encoding {name!r} is not known: name one such as utf-8, cp1252, gb18030 or utf-16")
    return known.name


def encoding_of(handle: IO[bytes], name: str) -> str:
    """Read a stream and name its encoding.

    A broken line in a file of UTF-8 does not change the encoding: it is refused alone.

    Raises :class:`InvalidInput` for what is not text.
    """
    chunk = handle.read(CHUNK)
    if marked := next((encoding for mark, encoding in MARKS.items() if chunk.startswith(mark)), None):
        return marked
    if b"\x00" in chunk[:4096] and (wide := _wide(chunk[:4096], name)):
        return wide
    foreign, utf8, scanned = bytearray(), 0, 0
    while chunk and scanned < MAX_SCANNED and len(foreign) < MAX_SAMPLE:
        scanned += len(chunk)
        whole, cut = _without_cut_character(chunk)
        if _is_utf8(whole):
            utf8 += not whole.isascii()
        else:
            for line in whole.splitlines(keepends=True):
                utf8 += _is_utf8(line) and not line.isascii()
                foreign += b"" if _is_utf8(line) else line
        following = handle.read(CHUNK)
        chunk = cut + following if following else b""
    return UTF8 if utf8 or not foreign else _guessed(bytes(foreign[:MAX_SAMPLE]))


def _without_cut_character(chunk: bytes) -> tuple[bytes, bytes]:
    """Split off a character of UTF-8 that the end of a chunk cuts in two."""
    try:
        chunk[-4:].decode(UTF8)
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            place = len(chunk) - len(chunk[-4:]) + error.start
            return chunk[:place], chunk[place:]
    return chunk, b""


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode(UTF8)
    except UnicodeDecodeError:
        return False
    return True


def _wide(head: bytes, name: str) -> str:
    """Name the UTF-16 of a text without a byte order mark, where ASCII has a zero in every second byte; empty for UTF-8."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) > len(head) / 5 and min(even, odd) < len(head) / 50:
        return "utf-16-le" if odd > even else "utf-16-be"
    if _is_utf8(_without_cut_character(head)[0]):
        return ""
    raise InvalidInput(f"{name!r} is not text, but a binary file: export the data as CSV, JSON lines or Parquet")


def _guessed(sample: bytes) -> str:
    """Name the likeliest encoding of lines that are not UTF-8; of equally likely ones, the more frequent."""
    try:
        from charset_normalizer import from_bytes
    except ImportError:
        raise MissingDependency(
            "the file is not UTF-8, and recognising other encodings needs charset-normalizer: "
            "pip install 'llmrec-qdrant[load]', or name it with --encoding"
        ) from None
    foreign = b"\n".join(line for line in sample.splitlines() if not line.isascii())
    order = {name: place for place, name in enumerate(CANDIDATES)}
    ranked = sorted(
        (round(match.chaos, 2), order.get(name, len(order)), name)
        for match in from_bytes(foreign, cp_isolation=list(CANDIDATES))
        for name in match.could_be_from_charset
    )
    return ranked[0][-1] if ranked else "cp1252"
