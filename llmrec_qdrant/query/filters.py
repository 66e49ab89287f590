"""Translates the filters of callers into Qdrant filters, and checks that their fields are indexed.

A filter is a ``qdrant_client.models.Filter``, Qdrant's own JSON (``{"must": [...]}``), or the short form::

    {"year": {"gte": 2000}, "genre": ["sci-fi", "crime"], "lang": {"not": "zh"}}

All fields must match. A field takes a value (equals), a list (any of), or an object with
``gt gte lt lte`` (numbers, or ISO times), ``any``, ``not`` (a value or a list), ``text`` (full text),
``exists`` (true or false).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError
from qdrant_client import models

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import InvalidFilter, show
from llmrec_qdrant.space.schema import filterable

__all__ = ["FilterLike", "parse_filter"]


FilterLike = models.Filter | Mapping[str, Any]

_CLAUSES = {"must", "should", "must_not", "min_should"}

_RANGE_WORDS = ("gt", "gte", "lt", "lte")


def parse_filter(filter: FilterLike | None, config: SpaceConfig) -> models.Filter | None:
    """Return the Qdrant filter; None without a filter.

    Raises :class:`InvalidFilter` for a filter that cannot be read or that uses a field without an index.

    >>> parse_filter({"year": {"gte": 2000}}, SpaceConfig(fields={"year": "integer"})).must[0].range.gte
    2000.0
    >>> try: parse_filter({"yeer": 2000}, SpaceConfig(fields={"year": "integer"}))
    ... except InvalidFilter as refused: print(str(refused)[:61])
    the filter uses 'yeer', which has no payload index: add it to
    """
    if filter is None:
        return None
    try:
        parsed = _parse(filter)
        parsed.model_dump_json().encode("utf-8")
    except (ValidationError, RecursionError, PydanticSerializationError, UnicodeError):
        raise InvalidFilter(f"the filter cannot be read, or cannot be sent as JSON: {show(filter)}") from None
    _check_indexed(parsed, config)
    return parsed


def _check_indexed(filter: models.Filter, config: SpaceConfig) -> None:
    known = filterable(config)
    for key in _keys(filter):
        if key not in known:
            raise InvalidFilter(
                f"the filter uses {key!r}, which has no payload index: add it to the space with "
                f"`llmrec init --field {key}:keyword` or create(SpaceConfig(fields={{{key!r}: 'keyword'}})) "
                f"(or another kind: integer, float, bool, datetime, text, geo, uuid); indexed now: "
                f"{', '.join(sorted(config.fields)) or 'none of your fields'}"
            )


def _parse(filter: FilterLike) -> models.Filter:
    if isinstance(filter, models.Filter):
        return filter
    if not isinstance(filter, Mapping):
        raise InvalidFilter(f"a filter must be a Filter or a dict, not {show(filter)}")
    if not all(isinstance(key, str) for key in filter):
        raise InvalidFilter(f"the keys of a filter must be field names: {show(dict(filter))}")
    if filter and filter.keys() <= _CLAUSES:
        try:
            return models.Filter.model_validate(dict(filter))
        except ValidationError as error:
            raise InvalidFilter(f"not a Qdrant filter: {error.errors()[0]['msg']} in {show(dict(filter))}") from None
    parts: list[models.Filter] = [_field(key, wanted) for key, wanted in filter.items()]
    if not parts:
        raise InvalidFilter("an empty filter {} has no condition: leave it out")
    return models.Filter(
        must=[condition for part in parts for condition in part.must or []] or None,
        must_not=[condition for part in parts for condition in part.must_not or []] or None,
    )


def _field(key: str, wanted: Any) -> models.Filter:
    if not isinstance(wanted, Mapping):
        return models.Filter(must=[_match(key, wanted)])
    if wanted and wanted.keys() <= set(_RANGE_WORDS):
        return models.Filter(must=[_range(key, wanted)])
    if len(wanted) == 1:
        (word, value), = wanted.items()  # fmt: skip
        if word in _WORDS:
            return _WORDS[word](key, value)
    raise InvalidFilter(
        f"the filter on {key!r} cannot be read: {show(dict(wanted))}; write a value, a list, "
        f"or one of {', '.join(_RANGE_WORDS)}, {', '.join(sorted(_WORDS))}"
    )


def _match(key: str, wanted: Any) -> models.FieldCondition:
    values = list(wanted) if isinstance(wanted, list | tuple | set | frozenset) else [wanted]
    kinds = {type(value) for value in values}
    single = not isinstance(wanted, list | tuple | set | frozenset)
    readable = kinds == {str} or kinds == {int} or (single and kinds <= {bool, float})
    if not values or not readable or not all(map(_is_sendable, values)):
        raise InvalidFilter(f"the filter on {key!r} needs strings or whole numbers, not {show(wanted)}")
    if kinds == {float}:
        return models.FieldCondition(key=key, range=models.Range(gte=values[0], lte=values[0]))
    if single:
        return models.FieldCondition(key=key, match=models.MatchValue(value=values[0]))
    return models.FieldCondition(key=key, match=models.MatchAny(any=values))


def _is_sendable(value: Any) -> bool:
    """Whether a value can be sent: JSON has no NaN, UTF-8 no half surrogate pairs, and Qdrant's integers have 64 bits."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return not isinstance(value, str) or not re.search("[\ud800-\udfff]", value)


def _range(key: str, bounds: Mapping[str, Any]) -> models.FieldCondition:
    values = list(bounds.values())
    try:
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            if all(map(_is_sendable, values)):
                return models.FieldCondition(key=key, range=models.Range(**bounds))
        elif all(isinstance(value, datetime) or _is_iso(value) for value in values):
            return models.FieldCondition(key=key, range=models.DatetimeRange(**bounds))
    except ValidationError:
        pass
    raise InvalidFilter(f"the range on {key!r} needs numbers or ISO times, not {show(dict(bounds))}")


def _is_iso(value: Any) -> bool:
    return isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value) is not None


def _not(key: str, value: Any) -> models.Filter:
    return models.Filter(must_not=[_match(key, value)])


def _exists(key: str, value: Any) -> models.Filter:
    if not isinstance(value, bool):
        raise InvalidFilter(f"the filter on {key!r}: exists must be true or false, not {show(value)}")
    empty = models.IsEmptyCondition(is_empty=models.PayloadField(key=key))
    return models.Filter(must_not=[empty]) if value else models.Filter(must=[empty])


def _full_text(key: str, value: Any) -> models.Filter:
    if not isinstance(value, str) or not _is_sendable(value):
        raise InvalidFilter(f"the filter on {key!r}: text needs a string, not {show(value)}")
    return models.Filter(must=[models.FieldCondition(key=key, match=models.MatchText(text=value))])


def _any(key: str, value: Any) -> models.Filter:
    return models.Filter(
        must=[_match(key, list(value) if isinstance(value, list | tuple | set | frozenset) else [value])]
    )


_WORDS: dict[str, Callable[[str, Any], models.Filter]] = {
    "any": _any, "not": _not, "exists": _exists, "text": _full_text,
}  # fmt: skip


def _keys(node: Any) -> Iterator[str]:
    """Yield every payload key that a filter uses, at any depth."""
    if isinstance(node, list):
        for part in node:
            yield from _keys(part)
    elif isinstance(node, models.NestedCondition):
        inside = node.nested.key.removesuffix("[]")
        for key in _keys(node.nested.filter):
            yield f"{inside}[].{key}"
    elif isinstance(node, BaseModel):
        named = getattr(node, "key", None)
        if isinstance(named, str):
            yield named
            return
        for name in type(node).model_fields:
            yield from _keys(getattr(node, name))
