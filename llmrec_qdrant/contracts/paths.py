"""Paths of payload fields, in the one spelling that configuration, filters and Qdrant share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from llmrec_qdrant.errors import InvalidInput, show

__all__ = ["Step", "canonical_path", "spelled", "steps"]

Step = str | int | None
"""One step of a path: a key, the place of an element in a list, or None for each element."""

_PLAIN = re.compile(r"[\w-]+")

_STEP = re.compile(
    r'(?P<dot>\.)?(?:"(?P<quoted>[^"\x00-\x1f]+)"|(?P<plain>[^."\[\]\x00-\x1f]+))|(?P<index>\[[0-9]{0,9}\])'
)


@cache
def steps(path: str) -> tuple[Step, ...]:
    """Split a path into its steps; keys lose their quotes.

    Raises :class:`InvalidInput` for a text that is no path.

    >>> steps('"cast"[].name'), steps("release date"), steps('"a.b".c')
    (('cast', None, 'name'), ('release date',), ('a.b', 'c'))
    """
    parts: list[Step] = []
    at = 0
    while match := _STEP.match(path, at):
        key = match["quoted"] or match["plain"]
        if key is not None and not key.strip():
            break
        if key is None:
            if not parts:
                break
            place = match["index"][1:-1]
            parts.append(int(place) if place else None)
        elif (match["dot"] is None) == (not parts):
            parts.append(key)
        else:
            break
        at = match.end()
    if not parts or at < len(path):
        raise InvalidInput(
            f"{show(path)} is not the path of a payload field; examples: year, director.name, cast[].name"
        )
    return tuple(parts)


def canonical_path(path: str) -> str:
    """Return the path as Qdrant itself spells it: keys in quotes only where they need them.

    Two spellings that Qdrant reads alike have the same canonical path, so a quoted key cannot pass for another one.

    >>> canonical_path('"a"."b"'), canonical_path("release date"), canonical_path('"odd.key"[0]')
    ('a.b', '"release date"', '"odd.key"[0]')
    """
    return spelled(steps(path))


def spelled(path: Sequence[Step]) -> str:
    """Return the canonical path of these steps."""
    return "".join(map(_spelled, path)).removeprefix(".")


def _spelled(step: Step) -> str:
    if isinstance(step, str):
        return f".{step}" if _PLAIN.fullmatch(step) else f'."{step}"'
    return "[]" if step is None else f"[{step}]"
