"""Builds the Qdrant condition of one operator on one field, by the kind of the field.

The pairs of operator and kind without an answer are refused with a sentence that says what to write instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any, NoReturn

from qdrant_client import models

from llmrec_qdrant.contracts.checks import external_id
from llmrec_qdrant.contracts.config import FieldKind
from llmrec_qdrant.errors import InvalidFilter, show
from llmrec_qdrant.query.values import READERS, number
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.words import searched, stored, words_key

__all__ = [
    "BOUNDS",
    "EQUALITY_KINDS",
    "Condition",
    "Field",
    "any_of",
    "between",
    "equals",
    "exists",
    "none_of",
    "words",
]

Condition = Any
"""A condition of a Qdrant filter."""

BOUNDS = ("gt", "gte", "lt", "lte")

EQUALITY_KINDS = tuple(READERS)

_AFTER = {"gt": "gte", "lte": "lt"}
"""Bound by a whole period → bound by the first moment after it."""

_MAX_EXACT = 2**53
"""Qdrant compares ranges as 64-bit floats, which hold every whole number up to this one."""


@dataclass(frozen=True)
class Field:
    """A field that a filter uses: its canonical path, its kind, and its path within the nested object, if any."""

    path: str
    kind: FieldKind
    inner: str | None = None

    @property
    def key(self) -> str:
        """The key of the condition; a text field is searched by its words."""
        return words_key(self.path) if self.kind == "text" else self.inner or self.path

    def refuse(self, value: Any, why: str) -> NoReturn:
        """Raise :class:`InvalidFilter` naming the field, its kind and the value."""
        raise InvalidFilter(f"the filter on {self.path!r}, of kind {self.kind}: {show(value)} is {why}")

    def read(self, value: Any) -> Any:
        """Return the value as the field's kind reads it.

        Raises :class:`InvalidFilter` for a value that no value of the field can equal.
        """
        if value is None:
            self.refuse(value, "no value: write {'exists': False} (on the command line: !field) for items without one")
        read = external_id if self.path == Key.ITEM_ID else READERS[self.kind]
        try:
            return read(value)
        except ValueError as error:
            self.refuse(value, str(error))


def equals(field: Field, value: Any) -> Condition:
    """Condition: a value of the field equals ``value``; a date means the whole period that it names."""
    if field.kind == "text":
        field.refuse(
            value, "compared as a whole: write {'text': …} (on the command line: field~words) to look for words"
        )
    if field.kind == "geo":
        field.refuse(value, "a place: use a Filter with geo_radius, geo_bounding_box or geo_polygon")
    known = field.read(value)
    if field.kind == "float":
        return models.FieldCondition(key=field.key, range=models.Range(gte=known, lte=known))
    if field.kind == "datetime":
        return _moments(field, {"gte": known, "lte": known})
    return models.FieldCondition(key=field.key, match=models.MatchValue(value=known))


def any_of(field: Field, values: Sequence[Any]) -> Condition:
    """Condition: a value of the field equals one of these values."""
    if not values:
        raise InvalidFilter(f"the filter on {field.path!r}: an empty list of values matches nothing: leave it out")
    if len(values) == 1 or field.kind not in {"keyword", "integer", "uuid"}:
        conditions = [equals(field, value) for value in values]
        return conditions[0] if len(conditions) == 1 else models.Filter(should=conditions)
    return models.FieldCondition(key=field.key, match=models.MatchAny(any=[field.read(value) for value in values]))


def none_of(field: Field, values: Sequence[Any]) -> Condition:
    """Condition: a value of the field equals none of these values (Qdrant's ``except``)."""
    if field.kind not in {"keyword", "integer"} or not values:
        field.refuse(
            list(values), "listed with 'except', which only fields of kind keyword and integer know: use must_not"
        )
    read = [field.read(value) for value in values]
    return models.FieldCondition(key=field.key, match=models.MatchExcept(**{"except": read}))


def between(field: Field, bounds: Mapping[str, Any]) -> Condition:
    """Condition: one value of the field lies within all bounds."""
    build = _RANGES.get(field.kind)
    if build is None:
        field.refuse(dict(bounds), "a range: only fields of kind integer, float and datetime have an order")
    if any(value is None for value in bounds.values()) or not bounds:
        field.refuse(dict(bounds), "a range without a bound: leave out what does not bound it")
    return build(field, bounds)


def _floats(field: Field, bounds: Mapping[str, Any]) -> Condition:
    return models.FieldCondition(
        key=field.key, range=models.Range(**{word: field.read(v) for word, v in bounds.items()})
    )


def _integers(field: Field, bounds: Mapping[str, Any]) -> Condition:
    """Round fractions into the range, so that every engine compares whole numbers."""
    rounded = {}
    for word, value in bounds.items():
        try:
            exact = Fraction(number(value))
        except ValueError as error:
            field.refuse(value, str(error))
        bound = math.floor(exact) if word in {"gt", "lte"} else math.ceil(exact)
        if abs(bound) > _MAX_EXACT:
            field.refuse(value, f"a bound beyond ±2^53 ({_MAX_EXACT:,}), where Qdrant's ranges are not exact")
        rounded[word] = bound
    return models.FieldCondition(key=field.key, range=models.Range(**rounded))


def _dates(field: Field, bounds: Mapping[str, Any]) -> Condition:
    return _moments(field, {word: field.read(value) for word, value in bounds.items()})


def _moments(field: Field, bounds: Mapping[str, tuple[datetime, datetime | None]]) -> Condition:
    """A range over periods: ``gte`` and ``lt`` mean the beginning of a period, ``gt`` and ``lte`` its end."""
    sent: dict[str, datetime] = {}
    for word, (start, end) in bounds.items():
        as_sent, moment = (word, start) if end is None or word in {"gte", "lt"} else (_AFTER[word], end)
        nearer = max if as_sent.startswith("g") else min
        sent[as_sent] = nearer(moment, sent.get(as_sent, moment))
    return models.FieldCondition(key=field.key, range=models.DatetimeRange(**sent))


_RANGES: Mapping[FieldKind, Callable[[Field, Mapping[str, Any]], Condition]] = {
    "integer": _integers, "float": _floats, "datetime": _dates,
}  # fmt: skip


def exists(field: Field, value: Any) -> Condition:
    """Condition: the field has a value, or has none (missing, null or an empty list)."""
    try:
        wanted = READERS["bool"](value)
    except ValueError:
        field.refuse(value, "what 'exists' cannot take: write true or false")
    empty = models.IsEmptyCondition(is_empty=models.PayloadField(key=field.key))
    return models.Filter(must_not=[empty]) if wanted else empty


def words(field: Field, value: Any, every: bool = True) -> Condition:
    """Condition: the field contains every word of a text, or any of them."""
    conditions = [_occurs(field, part) for part in searched(_text(field, value))]
    if not conditions:
        field.refuse(value, "without a word to look for")
    if len(conditions) == 1:
        return conditions[0]
    return models.Filter(must=conditions) if every else models.Filter(should=conditions)


def phrase(field: Field, value: Any) -> Condition:
    """Condition: the field contains the words of a text in this order, next to each other."""
    words = stored([_text(field, value)])
    return _occurs(field, words) if words else field.refuse(value, "without a word to look for")


def _occurs(field: Field, part: str) -> models.FieldCondition:
    match = models.MatchPhrase(phrase=part) if " " in part else models.MatchText(text=part)
    return models.FieldCondition(key=field.key, match=match)


def _text(field: Field, value: Any) -> str:
    if field.kind != "text":
        advice = (
            "use equality, or declare a field of kind text" if field.kind in EQUALITY_KINDS else "declare it as text"
        )
        field.refuse(value, f"searched for in a full text, which only fields of kind text have: {advice}")
    try:
        return str(READERS["keyword"](value))
    except ValueError as error:
        field.refuse(value, str(error))
