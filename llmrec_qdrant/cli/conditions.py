"""TODO: llmrec_qdrant.cli.conditions."""

from __future__ import annotations

import json
import re
from typing import Any

from llmrec_qdrant.contracts.config import LEGS, SpaceConfig
from llmrec_qdrant.errors import InvalidInput


def _weights(text: str | None) -> Any:
    if text is None:
        return None
    pairs = [one.partition("=") for one in text.split(",")]
    try:
        return {name.strip(): float(value) for name, _, value in pairs}
    except ValueError:
        raise InvalidInput(f"--weights is written leg=number,… with legs {', '.join(LEGS)}, not {text!r}") from None


def _filter(parts: list[str] | None, config: SpaceConfig) -> Any:
    if not parts:
        return None
    if len(parts) == 1 and parts[0].lstrip().startswith("{"):
        try:
            return json.loads(parts[0])
        except ValueError as error:
            raise InvalidInput(f"--filter is not JSON: {error}") from None
    found: dict[str, Any] = {}
    for part in parts:
        name, condition = _condition(part, config)
        found[name] = _both(found[name], condition) if name in found else condition
    return found


def _both(one: Any, two: Any) -> Any:
    """Bounds narrow each other; values widen each other."""
    if isinstance(one, dict) and isinstance(two, dict) and not (one.keys() | two.keys()) & {"not"}:
        return one | two
    if isinstance(one, dict) or isinstance(two, dict):
        raise InvalidInput(
            f"these two filters on one field cannot be combined: {one!r} and {two!r}; write JSON instead"
        )
    return [*(one if isinstance(one, list) else [one]), *(two if isinstance(two, list) else [two])]


_BOUNDS = {">=": "gte", "<=": "lte", ">": "gt", "<": "lt"}


def _condition(text: str, config: SpaceConfig) -> tuple[str, Any]:
    match = re.fullmatch(r"\s*([^<>=!]+?)\s*(>=|<=|!=|>|<|=)\s*(.*?)\s*", text)
    if not match:
        raise InvalidInput(f"a filter is written field=value, field>=number or a JSON object, not {text!r}")
    name, operator, value = match.groups()
    if operator in _BOUNDS:
        return name, {_BOUNDS[operator]: _value(value, "float" if _is_number(value) else "datetime")}
    kind = config.fields.get(name, "keyword")
    values = [_value(one, kind) for one in value.split(",")]
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
        raise InvalidInput(f"the filter needs a number where it has {text!r}") from None
    return text.lower() == "true" if kind == "bool" else text
