"""Parses the text of ``--filter`` and ``--weights``."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from llmrec_qdrant.contracts.config import LEGS, Leg
from llmrec_qdrant.errors import InvalidInput

__all__ = ["item_ids", "parse_filter", "parse_weights", "split_values"]


RANGE_OPERATORS = {">=": "gte", "<=": "lte", ">": "gt", "<": "lt"}

_SPELLINGS = {
    ">=": ">=", "≥": ">=", "=>": ">=", "＞＝": ">=", "＞=": ">=",
    "<=": "<=", "≤": "<=", "=<": "<=", "＜＝": "<=", "＜=": "<=",
    "!=": "!=", "≠": "!=", "<>": "!=", "！＝": "!=", "！=": "!=",
    "!~": "!~", "！～": "!~", "！~": "!~",
    "==": "=", "＝＝": "=", "=": "=", "＝": "=", ">": ">", "＞": ">", "<": "<", "＜": "<", "~": "~", "～": "~",
}  # fmt: skip
"""Operator as people write it, the longer ones first → operator."""

_PATH = r'((?:"[^"]+"|[^<>=!~"≥≤≠＜＞＝！～])+?)'

_COMPARISON = re.compile(rf"\s*{_PATH}\s*({'|'.join(map(re.escape, _SPELLINGS))})\s*(.*?)\s*", re.DOTALL)

_PRESENCE = re.compile(r'\s*([!！]?)\s*((?:"[^"]+"|[^<>=!~"≥≤≠＜＞＝！～:：,，&|\s])+)\s*')


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


def parse_filter(parts: list[str] | None) -> dict[str, Any] | None:
    """Build one filter from several conditions, or from one JSON object; values stay texts, which the fields' kinds read.

    All conditions must hold, except that several values of one field (``=``) are alternatives.

    >>> parse_filter(["year>=2000", "year<2010", "lang=en", "lang=zh", "!sequel"])
    {'year': {'gte': '2000', 'lt': '2010'}, 'lang': {'any': ['en', 'zh']}, 'sequel': {'exists': False}}
    """
    if not parts:
        return None
    if len(parts) == 1 and parts[0].lstrip().startswith("{"):
        return _json(parts[0])
    together: dict[str, dict[str, Any]] = {}
    more: list[dict[str, Any]] = []
    for part in parts:
        name, words = _condition(part)
        known = together.setdefault(name, {})
        if "any" in words and "any" in known:
            known["any"] += words["any"]
        elif words.keys() & known.keys():
            more.append({name: words})
        else:
            known |= words
    return {"must": [together, *more]} if more else together


def _json(text: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"--filter is not valid JSON: {error}") from None
    return document


def _condition(text: str) -> tuple[str, dict[str, Any]]:
    if match := _COMPARISON.fullmatch(text):
        name, operator, value = match.groups()
        return name.strip(), _OPERATORS[_SPELLINGS[operator]](value)
    if match := _PRESENCE.fullmatch(text):
        return match[2].strip(), {"exists": not match[1]}
    raise InvalidInput(
        "--filter must be field=value, field!=value, field>=value, field~words, field, !field or a JSON object, "
        f"not {text!r}; repeat the option for several conditions, and put a name with spaces or signs in double quotes"
    )


def split_values(text: str) -> list[str]:
    """Split at commas; a value in double quotes may contain commas, and a doubled quote is a quote."""
    try:
        (values,) = csv.reader([text], skipinitialspace=True, strict=True) if text else [[""]]
    except (csv.Error, ValueError):
        raise InvalidInput(
            f'the quotes of {text!r} do not match: write "a, b",c, and a quote within quotes twice'
        ) from None
    return [value.strip() for value in values]


def item_ids(texts: list[str] | None) -> list[str]:
    """Return ids that are separated by commas; one that has a comma itself is in double quotes."""
    return [name for text in texts or [] for name in split_values(text) if name]


def _single(text: str) -> str:
    values = split_values(text) if text.startswith('"') else [text]
    return values[0] if len(values) == 1 else text


_OPERATORS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "=": lambda text: {"any": split_values(text)},
    "!=": lambda text: {"not": split_values(text)},
    "~": lambda text: {"text": _single(text)},
    "!~": lambda text: {"not": {"text": _single(text)}},
    **{sign: lambda text, word=word: {word: _single(text)} for sign, word in RANGE_OPERATORS.items()},  # type: ignore[misc]
}
