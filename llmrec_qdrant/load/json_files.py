"""Reads the rows of JSON: lines, an array, or objects one after another, so a file may be larger than memory."""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import IO, Any

from llmrec_qdrant.load.opening import CHUNK
from llmrec_qdrant.load.rows import Row, mended

__all__ = ["has_lines", "json_rows", "jsonl_rows"]

MAX_LINE_BYTES = 64_000_000
"""Bytes of one JSON object; a longer one is skipped without being held in memory."""

MAX_SHOWN = 1_000
"""Characters of a line that is too long which the list of refused rows shows."""

MAX_LITERAL = 1_000_000
"""Characters of a Python dictionary that is read where JSON was expected."""

_WRAPPED = re.compile(r'\s*\{\s*"[^"]{1,80}"\s*:\s*(?=\[)')
"""An object whose first member is a list, which holds the rows."""


_KEY = re.compile(r'"((?:[^"\\]|\\.){0,1000})"\s*:\s*')

_KEYED = re.compile(rf"\s*\{{\s*(?={_KEY.pattern}\{{)")
"""An object whose first member is an object: perhaps rows by their ids."""

_BETWEEN = re.compile(r"[\s,]*")

_FOLLOWING = re.compile(r"\}\s*,?\s*(?=\{)")


def has_lines(head: str) -> bool:
    """Whether a file that begins like this holds an object per line.

    >>> has_lines('{"id": 1}' + chr(10) + '{"id": 2}'), has_lines('[{"id": 1}]'), has_lines('{"rows": [{"id": 1}]}')
    (True, False, False)
    """
    first, _, rest = head.lstrip().partition("\n")
    if not rest.strip() and _begin_of_keyed(first) is not None:
        return False
    if first.lstrip().startswith("[") or (_WRAPPED.match(first) and not rest.strip()):
        return False
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return not first.rstrip().endswith(("[", "{", ","))


def _begin_of_keyed(text: str) -> int | None:
    """Return where the first key of an object of objects stands; None for any other text."""
    begin = _KEYED.match(text)
    key = _KEY.match(text, begin.end()) if begin else None
    if begin is None or key is None:
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(text, key.end())
    except (ValueError, RecursionError):
        return None
    following = re.compile(rf"\s*(?:\}}\s*$|,\s*{_KEY.pattern}\{{)").match(text, end)
    return begin.end() if following else None


def jsonl_rows(handle: IO[bytes], after: int, at: int) -> Iterator[Row]:
    """Yield the rows of JSON lines; ``handle`` is at byte ``at``, after line number ``after``. Empty lines are skipped."""
    for number, (line, length) in enumerate(_lines(handle), start=after + 1):
        at += length
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        try:
            data = _json_object(line, length)
        except UnicodeDecodeError as error:
            yield Row(number, error=f"not UTF-8 at byte {error.start} of the line", raw=_raw(line), at=at)
        except json.JSONDecodeError as error:
            yield Row(number, error=f"not JSON: {error}", raw=_raw(line), at=at)
        except (ValueError, RecursionError) as error:
            yield Row(number, error=str(error)[:200], raw=_raw(line), at=at)
        else:
            yield mended(Row(number, data, at=at))


def _raw(line: bytes) -> str:
    return line.decode("utf-8", "replace").strip()


def _json_object(line: bytes, length: int) -> dict[str, Any]:
    if length > MAX_LINE_BYTES:
        raise ValueError(f"a line may have at most {MAX_LINE_BYTES:,} bytes, and this one has {length:,}")
    text = line.decode("utf-8")
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        data = _literal(text)
    if not isinstance(data, dict):
        raise ValueError(f"expected an object with named fields, not {text.strip()[:60]!r}")
    return data


def _literal(text: str) -> object:
    """Read a line that holds a Python dictionary, as some published data sets do.

    Raises the error of JSON for any other line.
    """
    if not re.match(r"\s*\{\s*u?'", text) or len(text) > MAX_LITERAL:
        return json.loads(text)
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return json.loads(text)


def _lines(handle: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield lines and their lengths in bytes; of a line that is too long, only the beginning."""
    while line := handle.readline(MAX_LINE_BYTES + 1):
        length, piece = len(line), line
        while len(piece) > MAX_LINE_BYTES and not piece.endswith(b"\n"):
            line = line[:MAX_SHOWN]
            piece = handle.readline(MAX_LINE_BYTES + 1)
            length += len(piece)
        yield line, length


class _Text:
    """The text of a stream, read as it is needed, and a position in it."""

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle = io.TextIOWrapper(handle, encoding="utf-8-sig", errors="replace")
        self.buffer, self.at, self.line = "", 0, 1

    def more(self) -> bool:
        """Drop what lies before the position, and read on; False at the end."""
        piece = self._handle.read(max(CHUNK, len(self.buffer) - self.at))
        self.buffer, self.at = self.buffer[self.at :] + piece, 0
        return bool(piece)

    def move(self, to: int) -> str:
        """Move the position, and return the text in between."""
        passed = self.buffer[self.at : to]
        self.line += passed.count("\n")
        self.at = to
        return passed

    def next_character(self) -> str:
        """Move to the next character that is neither white space nor a comma, and return it; empty at the end."""
        while True:
            match = _BETWEEN.match(self.buffer, self.at)
            self.move(match.end() if match else self.at)
            if self.at < len(self.buffer) or not self.more():
                return self.buffer[self.at : self.at + 1]

    def detach(self) -> None:
        """Leave the stream open."""
        self._handle.detach()


def json_rows(handle: IO[bytes]) -> Iterator[Row]:
    """Yield the objects of an array, of an object's first list or under its keys, or that follow one another."""
    text = _Text(handle)
    try:
        text.more()
        keyed = _begin_of_keyed(text.buffer)
        if keyed is not None:
            text.move(keyed)
            yield from _keyed_rows(text)
            return
        wrapped = _WRAPPED.match(text.buffer)
        text.move(wrapped.end() if wrapped else 0)
        while character := text.next_character():
            if character == "]":  # what follows a list of rows is no row
                return
            if character == "[":
                text.move(text.at + 1)
                continue
            yield _next_object(text)
    finally:
        text.detach()


def _keyed_rows(text: _Text) -> Iterator[Row]:
    """Yield the members of an object, whose keys are the ids of rows that have none."""
    while text.next_character() not in {"", "}"}:
        while not (key := _KEY.match(text.buffer, text.at)) or key.end() == len(text.buffer):
            if len(text.buffer) - text.at > MAX_SHOWN * 4 or not text.more():
                yield Row(text.line, error="expected a key and its row", raw=text.buffer[text.at :][:MAX_SHOWN])
                return
        text.move(key.end())
        row = _next_object(text)
        yield row if row.error else replace(row, data={"id": json.loads(f'"{key[1]}"'), **row.data})


def _next_object(text: _Text) -> Row:
    line, decoder = text.line, json.JSONDecoder()
    while True:
        try:
            data, end = decoder.raw_decode(text.buffer, text.at)
        except (ValueError, RecursionError) as error:
            if len(text.buffer) - text.at < MAX_LINE_BYTES and text.more():
                continue
            return _broken(text, line, error)
        raw = text.move(end)
        if isinstance(data, dict):
            return mended(Row(line, data))
        return Row(line, error=f"expected an object with named fields, not {raw[:60]!r}", raw=raw)


def _broken(text: _Text, line: int, error: Exception) -> Row:
    """Skip to the object after one that cannot be read."""
    following = _FOLLOWING.search(text.buffer, text.at)
    raw = text.move(following.end() if following else len(text.buffer))
    return Row(line, error=f"not JSON: {str(error)[:200]}", raw=raw.strip().rstrip(","))
