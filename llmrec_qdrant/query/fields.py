"""Checks payload values by the kinds of a space's fields.

Qdrant stores a value of the wrong kind without complaint, but no filter ever matches it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from llmrec_qdrant.contracts.config import FieldKind
from llmrec_qdrant.contracts.paths import Step, spelled, steps
from llmrec_qdrant.errors import InvalidInput, show
from llmrec_qdrant.space.words import stored, words_key

__all__ = ["check_payload", "fits", "kind_of", "misfits", "paths_like", "words_of"]


MOMENT = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:([Tt ])(\d{2}):(\d{2})(?::(\d{2})(\.\d{1,9})?)?(Z|z|[+-]\d{2}:\d{2})?)?"
)
"""Time formats that Qdrant reads, checked against a server in tests/adapter/query/test_fields.py."""

_HYPHENATED = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

UUID = re.compile(rf"(?:urn:uuid:)?{_HYPHENATED}|\{{{_HYPHENATED}\}}|[0-9a-f]{{32}}", re.IGNORECASE | re.ASCII)
"""UUID formats that Qdrant reads."""


def check_payload(payload: Mapping[str, Any], fields: Mapping[str, FieldKind]) -> None:
    """Refuse a payload with a value that does not fit its field; missing fields, None and lists of values are fine.

    Raises :class:`InvalidInput`.

    >>> check_payload({"year": [1994, 1995], "genre": None}, {"year": "integer", "genre": "keyword"})
    >>> try: check_payload({"year": "soon"}, {"year": "integer"})
    ... except InvalidInput as refused: print(refused)
    Item: 'year': the space indexes it as integer, and 'soon' is not a whole number of 64 bits
    """
    for path, kind in fields.items():
        for value in misfits(payload, path, kind):
            raise InvalidInput(
                f"Item: {path!r}: the space indexes it as {kind}, and {show(value)} is not {_NAME_OF_KIND[kind]}"
            )


def fits(value: Any, kind: FieldKind) -> bool:
    """Whether filters on a field of this kind find the value.

    >>> fits("2024-05-01", "datetime"), fits("1 May 2024", "datetime"), fits(True, "integer")
    (True, False, False)
    """
    return _FITS[kind](value)


def misfits(payload: Mapping[str, Any], path: str, kind: FieldKind) -> Iterator[Any]:
    """Yield the values of a field that no filter on a field of this kind finds."""
    for node in _nodes(payload, steps(path)):
        yield from (value for value in _listed(node) if value is not None and not _FITS[kind](value))


def kind_of(payloads: Sequence[Mapping[str, Any]], path: str, wanted: FieldKind) -> FieldKind | None:
    """Return the kind that fits most values at a path, ``wanted`` if several do; None if none fits any.

    >>> kind_of([{"price": 7}, {"price": 9.99}], "price", "integer"), kind_of([{"seen": "1994"}], "seen", "integer")
    ('float', 'keyword')
    >>> kind_of([{"plot": "A heist."}], "plot", "text"), kind_of([{"plot": None}], "price", "text")
    ('text', None)
    """
    values = [
        v for payload in payloads for node in _nodes(payload, steps(path)) for v in _listed(node) if v is not None
    ]
    kinds: tuple[FieldKind, ...] = (wanted, "bool", "integer", "float", "datetime", "uuid", "geo", "keyword")
    fitting = {kind: sum(map(_FITS[kind], values)) for kind in kinds}
    best: FieldKind = max(kinds, key=fitting.__getitem__)
    return best if fitting[best] else None


def paths_like(payloads: Sequence[Mapping[str, Any]], path: str) -> Iterator[str]:
    """Yield paths of values that lie at or below the keys of ``path``, with the lists on the way.

    >>> list(paths_like([{"cast": [{"name": "x"}, {"age": 5}]}], "cast.name")), list(paths_like([{"o": {"k": 1}}], "o"))
    (['cast[].name'], ['o.k'])
    """
    keys = [step for step in steps(path) if isinstance(step, str)]
    for payload in payloads:
        for leaf in _leaves(payload):
            if [step for step in leaf if isinstance(step, str)][: len(keys)] == keys:
                yield spelled(leaf)


def _leaves(node: Any, at: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """Yield the path of each value; values of a list lie at the path of the list, objects of a list below it."""
    if isinstance(node, Mapping) and not _is_place(node):
        for key, part in node.items():
            yield from _leaves(part, (*at, key))
    elif isinstance(node, list):
        for part in node:
            yield from _leaves(part, (*at, None) if isinstance(part, Mapping) else at)
    elif node is not None:
        yield at


def words_of(payload: Mapping[str, Any], fields: Mapping[str, FieldKind]) -> dict[str, str]:
    """Return the words of the text fields of an item by their payload keys; a field without a value has none.

    >>> words_of({"plot": ["Café", "Bar"], "year": 1994}, {"plot": "text", "blurb": "text", "year": "integer"})
    {'bookkeeping.words_plot': 'cafe . bar'}
    """
    words = {}
    for path, kind in fields.items():
        if kind == "text" and (nodes := [node for node in _nodes(payload, steps(path)) if node not in (None, [])]):
            words[words_key(path)] = stored(text for node in nodes for text in _listed(node) if isinstance(text, str))
    return words


def _nodes(node: Any, path: Sequence[Step]) -> Iterator[Any]:
    """Yield what lies at a path; ``[]`` enters each element of a list."""
    if not path:
        yield node
    elif isinstance(path[0], str):
        if isinstance(node, Mapping):
            yield from _nodes(node.get(path[0]), path[1:])
    elif isinstance(node, list):
        for part in node if path[0] is None else node[path[0] : path[0] + 1]:
            yield from _nodes(part, path[1:])


def _listed(node: Any) -> list[Any]:
    return node if isinstance(node, list) else [node]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _is_moment(value: Any) -> bool:
    match = MOMENT.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return False
    year, month, day, separator, hour, minute, second, _, zone = match.groups()
    if (
        second is None and separator is not None and (separator != " " or zone)
    ):  # Qdrant accepts a time without seconds only after a space
        return False
    try:
        datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
    except ValueError:
        return False
    return zone in {None, "Z", "z"} or (int(zone[1:3]) < 24 and int(zone[4:]) < 60)


def _is_place(value: Any) -> bool:
    if not isinstance(value, Mapping) or not all(_is_number(value.get(name)) for name in ("lon", "lat")):
        return False
    return bool(-180 <= value["lon"] <= 180 and -90 <= value["lat"] <= 90)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_FITS: dict[FieldKind, Callable[[Any], bool]] = {
    "keyword": _is_text, "text": _is_text, "integer": _is_whole, "float": _is_number,
    "bool": lambda value: isinstance(value, bool), "datetime": _is_moment, "geo": _is_place,
    "uuid": lambda value: isinstance(value, str) and bool(UUID.fullmatch(value)),
}  # fmt: skip

_NAME_OF_KIND: dict[FieldKind, str] = {
    "keyword": "a text", "text": "a text", "integer": "a whole number of 64 bits", "float": "a number",
    "bool": "true or false", "datetime": "a time such as 2024-05-01 or 2024-05-01T12:00:00Z",
    "geo": 'an object with "lon" from -180 to 180 and "lat" from -90 to 90', "uuid": "a UUID",
}  # fmt: skip
