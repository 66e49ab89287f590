"""Checks Qdrant's own filters, condition by condition, against the kinds of the fields.

A condition that Qdrant would answer with nothing, or with everything, since the value has another kind than the field, is
rewritten where its meaning is plain and refused otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qdrant_client import models

from llmrec_qdrant.errors import InvalidFilter, show
from llmrec_qdrant.query import operators
from llmrec_qdrant.query.known import Known
from llmrec_qdrant.query.operators import BOUNDS, Condition, Field

__all__ = ["CLAUSES", "checked", "checked_condition", "listed", "refuse_empty"]

CLAUSES = ("must", "should", "must_not", "min_should")

_PARTS = ("match", "range", "geo_bounding_box", "geo_radius", "geo_polygon", "values_count", "is_empty", "is_null")
"""Attributes of a field condition, of which one says what is compared."""


def listed(parts: Any) -> list[Any]:
    """Return the conditions of a clause, which may be a single one, as a list."""
    return [] if parts is None else list(parts) if isinstance(parts, list | tuple) else [parts]


def refuse_empty(filter: models.Filter) -> None:
    """Raise :class:`InvalidFilter` for a clause that asks for one of no conditions: Qdrant would list everything."""
    if filter.should is not None and not listed(filter.should):
        raise InvalidFilter("the filter has an empty 'should', which would list everything: leave it out")
    if (least := filter.min_should) and not 1 <= least.min_count <= len(least.conditions):
        raise InvalidFilter(
            f"the filter wants {least.min_count} of {len(least.conditions)} conditions (min_should): write at least 1, "
            "and no more than there are"
        )


def checked(filter: models.Filter, known: Known, nested: str | None = None) -> models.Filter:
    """Return the filter with every condition in the form that fits its field.

    ``nested`` is the path of the objects that the filter is about, inside a nested condition.
    """
    refuse_empty(filter)
    clauses: dict[str, Any] = {}
    for word in ("must", "should", "must_not"):
        if (parts := getattr(filter, word)) is not None:
            clauses[word] = [checked_condition(part, known, nested) for part in listed(parts)]
    if filter.min_should is not None:
        conditions = [checked_condition(part, known, nested) for part in filter.min_should.conditions]
        clauses["min_should"] = models.MinShould(conditions=conditions, min_count=filter.min_should.min_count)
    return models.Filter(**clauses)


def checked_condition(condition: Any, known: Known, nested: str | None = None) -> Condition:
    """Return one condition in the form that fits its field."""
    match condition:
        case models.Filter():
            return checked(condition, known, nested)
        case models.FieldCondition():
            return _field(known.field(condition.key, nested), condition)
        case models.IsEmptyCondition():
            key = known.field(condition.is_empty.key, nested).key
            return models.IsEmptyCondition(is_empty=models.PayloadField(key=key))
        case models.IsNullCondition():
            key = _counted(known.field(condition.is_null.key, nested), "is_null").key
            return models.IsNullCondition(is_null=models.PayloadField(key=key))
        case models.NestedCondition():
            path = condition.nested.key if nested is None else f"{nested.removesuffix('[]')}[].{condition.nested.key}"
            inner = checked(condition.nested.filter, known, path)
            return models.NestedCondition(nested=models.Nested(key=condition.nested.key, filter=inner))
        case models.HasIdCondition() | models.HasVectorCondition():
            return condition
    raise InvalidFilter(f"not a Qdrant filter: {show(condition)} is not a condition")


def _field(field: Field, condition: models.FieldCondition) -> Condition:
    present = {name: part for name in _PARTS if (part := getattr(condition, name, None)) is not None}
    if len(present) != 1:
        raise InvalidFilter(
            f"the filter on {field.path!r}: a condition needs exactly one of {', '.join(_PARTS)}, not {show(list(present))}"
        )
    ((name, part),) = present.items()
    if name.startswith("geo_") and field.kind != "geo":
        field.refuse(part, "about places, which only fields of kind geo hold")
    if build := _BUILDERS.get(type(part)):
        return build(field, part)
    return condition.model_copy(update={"key": field.key if name == "is_empty" else _counted(field, name).key})


def _counted(field: Field, asked: str) -> Field:
    if field.kind == "text":
        field.refuse(asked, "a question that the words of a text do not answer: use is_empty")
    return field


def _range(field: Field, part: models.Range | models.DatetimeRange) -> Condition:
    bounds = {word: bound for word in BOUNDS if (bound := getattr(part, word)) is not None}
    return operators.between(field, bounds)


_BUILDERS: Mapping[type, Callable[[Field, Any], Condition]] = {
    models.MatchValue: lambda field, part: operators.equals(field, part.value),
    models.MatchAny: lambda field, part: operators.any_of(field, list(part.any)),
    models.MatchExcept: lambda field, part: operators.none_of(field, list(part.except_)),
    models.MatchText: lambda field, part: operators.words(field, part.text),
    models.MatchTextAny: lambda field, part: operators.words(field, part.text_any, every=False),
    models.MatchPhrase: lambda field, part: operators.phrase(field, part.phrase),
    models.Range: _range,
    models.DatetimeRange: _range,
}
"""Types of conditions whose values depend on the kind of the field."""
