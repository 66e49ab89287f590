"""Parses the text of ``--filter`` and ``--weights``."""

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
    """Parse weights per leg; the recommender refuses unknown legs.

    >>> parse_weights("dense=1,collab=2")
    {'dense': 1.0, 'collab': 2.0}
    """
    if text is None:
        return None
    pairs: list[Any] = [pair.partition("=") for pair in text.split(",")]
    try:
        return {leg.strip(): float(weight) for leg, _, weight in pairs}
    except ValueError:
        raise InvalidInput(
            f"--weights must have the form leg=number,… with legs {', '.join(LEGS)}, not {text!r}"
        ) from None


def parse_filter(parts: list[str] | None, kinds: Mapping[str, FieldKind]) -> dict[str, Any] | None:
    """Build one filter from several conditions, or from one JSON object; ``kinds``: field → kind of its values.

    >>> parse_filter(["year>=2000", "lang=en,zh"], {"year": "integer"})
    {'year': {'gte': 2000.0}, 'lang': ['en', 'zh']}
    """
    if not parts:
        return None
    if len(parts) == 1 and parts[0].lstrip().startswith("{"):
        try:
            document: dict[str, Any] = json.loads(parts[0])
        except ValueError as error:
            raise InvalidInput(f"--filter is not valid JSON: {error}") from None
        return document
    conditions: dict[str, Any] = {}
    for part in parts:
        name, condition = _condition(part, kinds)
        conditions[name] = _combined(conditions[name], condition) if name in conditions else condition
    return conditions


def _combined(first: Any, second: Any) -> Any:
    """Combine two conditions on one field: both bounds must hold; one of the values must match."""
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
        raise InvalidInput(f"--filter must be field=value, field>=number or a JSON object, not {text!r}")
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
