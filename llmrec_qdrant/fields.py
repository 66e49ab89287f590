"""Whether a payload's values are of the kinds that its space indexes: others are stored by Qdrant and found by no filter."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from llmrec_qdrant.contracts import FieldKind, show
from llmrec_qdrant.errors import InvalidInput

__all__ = ["check_payload"]


def check_payload(payload: Mapping[str, Any], fields: Mapping[str, FieldKind]) -> None:
    """Refuse a payload with a value of another kind than its field has; missing ones, None and lists of values are fine.

    Raises :class:`InvalidInput`.

    >>> check_payload({"year": [1994, 1995], "genre": None}, {"year": "integer", "genre": "keyword"})
    >>> try: check_payload({"year": "soon"}, {"year": "integer"})
    ... except InvalidInput as refused: print(refused)
    Item: 'year': the space indexes it as integer, and 'soon' is not a whole number of 64 bits
    """
    for path, kind in fields.items():
        for value in _values(payload, re.findall(r'"[^"]+"|[^."\[\]]+', path.replace("[]", ""))):
            if not _FITS[kind](value):
                raise InvalidInput(
                    f"Item: {path!r}: the space indexes it as {kind}, and {show(value)} is not {_NAMES[kind]}"
                )


def _values(found: Any, keys: list[str]) -> Iterator[Any]:
    """What lies at the end of a path; each element where lists are met."""
    if isinstance(found, list):
        for one in found:
            yield from _values(one, keys)
    elif not keys:
        if found is not None:
            yield found
    elif isinstance(found, Mapping):
        yield from _values(found.get(keys[0].strip('"')), keys[1:])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _is_moment(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def _is_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(uuid.UUID(value))
    except ValueError:
        return False


def _is_place(value: Any) -> bool:
    return isinstance(value, Mapping) and all(_is_number(value.get(name)) for name in ("lon", "lat"))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_FITS: dict[FieldKind, Callable[[Any], bool]] = {
    "keyword": _is_text, "text": _is_text, "integer": _is_whole, "float": _is_number,
    "bool": lambda value: isinstance(value, bool), "datetime": _is_moment, "geo": _is_place, "uuid": _is_uuid,
}  # fmt: skip
_NAMES: dict[FieldKind, str] = {
    "keyword": "a text", "text": "a text", "integer": "a whole number of 64 bits", "float": "a number",
    "bool": "true or false", "datetime": "a time such as 2024-05-01T12:00:00Z",
    "geo": 'an object with "lon" and "lat"', "uuid": "a UUID",
}  # fmt: skip
