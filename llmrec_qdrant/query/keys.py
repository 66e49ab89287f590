"""Which payload keys a filter uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qdrant_client import models

from llmrec_qdrant.query.operators import Condition
from llmrec_qdrant.query.verbatim import listed

__all__ = ["UsedKeys", "used_keys", "wanted_values"]


@dataclass(frozen=True)
class UsedKeys:
    """Payload keys of a filter: all of them, and those whose conditions a point without the key can meet."""

    all: frozenset[str]
    negative: frozenset[str]


def used_keys(filter: models.Filter) -> UsedKeys:
    """Return the keys that a checked filter uses."""
    used = list(_uses(filter, negative=False))
    return UsedKeys(frozenset(key for key, _ in used), frozenset(key for key, negative in used if negative))


def wanted_values(condition: Condition) -> Iterator[tuple[str, str]]:
    """Yield the (key, text) pairs of which a checked filter asks that a value equals the text, nested conditions left out."""
    match condition:
        case models.Filter():
            for part in (*listed(condition.must), *listed(condition.should)):
                yield from wanted_values(part)
        case models.FieldCondition(key=key, match=models.MatchValue(value=str(text))):
            yield key, text
        case models.FieldCondition(key=key, match=models.MatchAny(any=texts)):
            yield from ((key, text) for text in texts if isinstance(text, str))


def _uses(condition: Condition, negative: bool, inside: str = "") -> Iterator[tuple[str, bool]]:
    match condition:
        case models.Filter():
            least = condition.min_should.conditions if condition.min_should else []
            for part in (*listed(condition.must), *listed(condition.should), *least):
                yield from _uses(part, negative, inside)
            for part in listed(condition.must_not):
                yield from _uses(part, not negative, inside)
        case models.NestedCondition():
            yield from _uses(condition.nested.filter, negative, f"{inside}{condition.nested.key.removesuffix('[]')}[].")
        case models.FieldCondition():
            yield f"{inside}{condition.key}", negative
        case models.IsEmptyCondition():
            yield f"{inside}{condition.is_empty.key}", not negative
