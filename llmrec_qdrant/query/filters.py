"""Translates the filters of callers into Qdrant filters that mean the same on every back end.

A filter is a ``qdrant_client.models.Filter``, Qdrant's own JSON (``{"must": [...]}``), or the short form::

    {"year": {"gte": 2000}, "genre": ["sci-fi", "crime"], "lang": {"not": "zh"}}

All fields must match. A field takes a value (equals), a list (any of), or an object whose words must all hold:
``gt gte lt lte`` (numbers and dates), ``any`` (a list), ``not`` (a value, a list or such an object), ``text`` (full text) and
``exists`` (true or false). ``must``, ``should`` and ``must_not`` combine filters of either form. docs/filters.md has the table
of kinds, operators and spellings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError
from qdrant_client import models

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import InvalidFilter, show
from llmrec_qdrant.query import operators
from llmrec_qdrant.query.known import Known
from llmrec_qdrant.query.operators import BOUNDS, Condition, Field
from llmrec_qdrant.query.verbatim import CLAUSES, checked, checked_condition, listed, refuse_empty

__all__ = ["FilterLike", "parse_filter"]


FilterLike = models.Filter | Mapping[str, Any]

_CONDITIONS = {"key", "has_id", "has_vector", "is_empty", "is_null", "nested"}
"""Keys by which Qdrant's JSON of a single condition is known."""


def parse_filter(filter: FilterLike | None, config: SpaceConfig) -> models.Filter | None:
    """Return the Qdrant filter; None without a filter.

    Raises :class:`InvalidFilter` for a filter that cannot be read, or that compares a field with what it cannot equal.

    >>> parse_filter({"year": {"gte": 2000}}, SpaceConfig(fields={"year": "integer"})).must[0].range.gte
    2000.0
    >>> try: parse_filter({"yeer": 2000}, SpaceConfig(fields={"year": "integer"}))
    ... except InvalidFilter as refused: print(str(refused)[:68])
    the space has no field 'yeer' to filter on (did you mean 'year'?): d
    """
    if filter is None:
        return None
    known = Known(config)
    try:
        parsed = _parse(filter, known)
        parsed.model_dump_json().encode("utf-8")
    except (ValidationError, RecursionError, PydanticSerializationError, UnicodeError):
        raise InvalidFilter(f"the filter cannot be read, or cannot be sent as JSON: {show(filter)}") from None
    return parsed


def _parse(filter: FilterLike, known: Known) -> models.Filter:
    if isinstance(filter, models.Filter):
        return checked(filter, known)
    if not isinstance(filter, Mapping):
        raise InvalidFilter(f"a filter must be a Filter or a dict, not {show(filter)}")
    if not all(isinstance(key, str) for key in filter):
        raise InvalidFilter(f"the keys of a filter must be field names: {show(dict(filter))}")
    if not filter:
        raise InvalidFilter("an empty filter {} has no condition: leave it out")
    clauses = {key: value for key, value in filter.items() if key in CLAUSES and value is not None}
    conditions = [_clauses(clauses, known)] if clauses else []
    for key, wanted in filter.items():
        if key not in CLAUSES:
            conditions += _field(known.field(key, wanted=wanted), wanted)
    return _joined(conditions)


def _joined(conditions: Sequence[Condition]) -> models.Filter:
    """Return a filter of conditions that must all hold, as flat as it can be."""
    if len(conditions) == 1 and isinstance(conditions[0], models.Filter):
        return conditions[0]
    must, must_not = list[Condition](), list[Condition]()
    for condition in conditions:
        if isinstance(condition, models.Filter) and not (condition.must or condition.should or condition.min_should):
            must_not += listed(condition.must_not)
        else:
            must.append(condition)
    return models.Filter(must=must or None, must_not=must_not or None)


# --- clauses: must, should, must_not --------------------------------------------------------------


def _clauses(clauses: Mapping[str, Any], known: Known) -> models.Filter:
    """Read ``must``, ``should``, ``must_not`` and ``min_should``, whose parts may have any form."""
    read: dict[str, Any] = {}
    for word, parts in clauses.items():
        if word != "min_should":
            read[word] = [_part(word, part, known) for part in listed(parts)]
        elif isinstance(parts, Mapping) and parts.keys() == {"conditions", "min_count"}:
            conditions = [_part(word, part, known) for part in listed(parts["conditions"])]
            read[word] = {"conditions": conditions, "min_count": parts["min_count"]}
        else:
            raise InvalidFilter(
                f"not a Qdrant filter: min_should needs 'conditions' and 'min_count', not {show(parts)}"
            )
    filter = models.Filter(**read)
    refuse_empty(filter)
    if not any(read.values()):
        raise InvalidFilter(f"{show(dict(clauses))} has no condition: leave it out")
    return filter


def _part(word: str, part: Any, known: Known) -> Condition:
    if isinstance(part, BaseModel):
        return checked_condition(part, known)
    if not isinstance(part, Mapping):
        raise InvalidFilter(f"not a Qdrant filter: {word!r} holds {show(part)}, which is not a condition")
    if not part.keys() & _CONDITIONS:
        return _parse(part, known)
    try:
        return checked(models.Filter.model_validate({"must": [dict(part)]}), known).must[0]  # type: ignore[index]
    except ValidationError as error:
        raise InvalidFilter(f"not a Qdrant filter: {error.errors()[0]['msg']} in {show(dict(part))}") from None


# --- the short form -------------------------------------------------------------------------------


def _field(field: Field, wanted: Any) -> list[Condition]:
    """Return the conditions on one field: a value, a list, or an object of words."""
    if isinstance(wanted, list | tuple | set | frozenset | np.ndarray):
        return [operators.any_of(field, list(wanted))]
    if not isinstance(wanted, Mapping):
        return [operators.equals(field, wanted)]
    others = [word for word in wanted if word not in BOUNDS and word not in _WORDS]
    if others or not wanted:
        raise InvalidFilter(
            f"the filter on {field.path!r} cannot be read: {show(dict(wanted))}; write a value, a list, "
            f"or some of {', '.join((*BOUNDS, *_WORDS))}"
        )
    bounds = {word: value for word, value in wanted.items() if word in BOUNDS}
    conditions = [operators.between(field, bounds)] if bounds else []
    return conditions + [_WORDS[word](field, value) for word, value in wanted.items() if word not in BOUNDS]


def _any(field: Field, value: Any) -> Condition:
    several = isinstance(value, list | tuple | set | frozenset | np.ndarray)
    return operators.any_of(field, list(value) if several else [value])


def _not(field: Field, value: Any) -> Condition:
    conditions = _field(field, value)
    return models.Filter(must_not=conditions if len(conditions) == 1 else [models.Filter(must=conditions)])


_WORDS: Mapping[str, Callable[[Field, Any], Condition]] = {
    "any": _any, "not": _not, "text": operators.words, "exists": operators.exists,
}  # fmt: skip
