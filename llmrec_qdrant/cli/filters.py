"""Text of ``--filter`` and ``--weights`` → what the public methods accept."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from llmrec_qdrant.contracts.config import LEGS, FieldKind, Leg
from llmrec_qdrant.errors import InvalidInput

__all__ = ["parse_filter", "parse_weights"]


RANGE_OPERATORS = {">=": "gte", "<=": "lte", ">": "gt", "<": "lt"}


def parse_weights(text: str | None) -> dict[Leg, float] | None:
    """Weights per leg; the recommender refuses a leg that does not exist.

    >>> parse_weights("dense=1,collab=2")
    {'dense': 1.0, 'collab': 2.0}
    """
    if text is None:
        return None
    pairs: list[Any] = [pair.partition("=") for pair in text.split(",")]
    try:
        return {leg.strip(): float(weight) for leg, _, weight in pairs}
    except ValueError:
        raise InvalidInput(f"--weights is written leg=number,… with legs {', '.join(LEGS)}, not {text!r}") from None


def parse_filter(parts: list[str] | None, kinds: Mapping[str, FieldKind]) -> dict[str, Any] | None:
    """One filter out of several conditions, or out of one JSON object; ``kinds`` of the fields decide how values are read.

    >>> parse_filter(["year>=2000", "lang=en,zh"], {"year": "integer"})
    {'year': {'gte': 2000.0}, 'lang': ['en', 'zh']}
    """
    if not parts:
        return None
    if len(parts) == 1 and parts[0].lstrip().startswith("{"):
        try:
            document: dict[str, Any] = json.loads(parts[0])
        except ValueError as error:
            raise InvalidInput(f"--filter is not JSON: {error}") from None
        return document
    conditions: dict[str, Any] = {}
    for part in parts:
        name, condition = _condition(part, kinds)
        conditions[name] = _combined(conditions[name], condition) if name in conditions else condition
    return conditions


def _combined(first: Any, second: Any) -> Any:
    """Two conditions on one field: bounds narrow each other, values widen each other."""
    if isinstance(first, dict) and isinstance(second, dict) and not (first.keys() | second.keys()) & {"not"}:
        return first | second
    if isinstance(first, dict) or isinstance(second, dict):
        raise InvalidInput(
            f"these two filters on one field cannot be combined: {first!r} and {second!r}; write one JSON object instead"
        )
    return [*_listed(first), *_listed(second)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _condition(text: str, kinds: Mapping[str, FieldKind]) -> tuple[str, Any]:
    match = re.fullmatch(r"\s*([^<>=!]+?)\s*(>=|<=|!=|>|<|=)\s*(.*?)\s*", text)
    if not match:
        raise InvalidInput(f"a filter is written field=value, field>=number or a JSON object, not {text!r}")
    name, operator, value = match.groups()
    if operator in RANGE_OPERATORS:
        return name, {RANGE_OPERATORS[operator]: _value(value, "float" if _is_number(value) else "datetime")}
    kind = kinds.get(name, "keyword")
    values = [_value(part, kind) for part in value.split(",")]
    plain = values if len(values) > 1 else values[0]
    return name, {"not": plain} if operator == "!=" else plain


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _value(text: str, kind: str) -> Any:
    try:
        if kind == "integer":
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError:
        raise InvalidInput(f"--filter: expected a number, not {text!r}") from None
    return text.lower() == "true" if kind == "bool" else text
