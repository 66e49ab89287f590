"""Points as the code reads and writes them: with a flat payload.

In Qdrant a payload holds what people read first, and one nested object with the bookkeeping last. In code it is flat: a
bookkeeping key is the path ``bookkeeping.NAME``, the same path that filters and indexes use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from qdrant_client import models

__all__ = ["BOOKKEEPING", "Point", "flat", "nested", "new_point", "set_payload", "stored_id"]

BOOKKEEPING = "bookkeeping"
"""Payload key of the nested object that only the product reads."""
_PREFIX = f"{BOOKKEEPING}."
_NOTHING: Mapping[str, Any] = MappingProxyType({})
"""The vectors of points that were read without them: long lists of scores hold hundreds of these."""


@dataclass(slots=True)
class Point:
    """One stored point. Parts that were not read are empty. Not frozen: lists of candidates create hundreds, and that takes longer."""

    id: str
    payload: dict[str, Any] = field(default_factory=dict)
    """Flat: bookkeeping under its paths."""
    vectors: Mapping[str, Any] = field(default_factory=dict)
    """Named vectors: a list of floats, a list of rows, or a ``SparseVector``."""
    score: float = 0.0

    @classmethod
    def of(cls, record: models.Record | models.ScoredPoint) -> Point:
        """Convert a record or search hit of the Qdrant client."""
        vector, payload = record.vector, record.payload
        score = record.score if isinstance(record, models.ScoredPoint) else 0.0
        return cls(
            str(record.id),
            flat(payload) if payload else {},
            vector if isinstance(vector, dict) else _NOTHING,
            float(score),
        )

    @classmethod
    def hit(cls, found: models.ScoredPoint) -> Point:
        """Convert a search hit; most have a score and nothing else, and lists of candidates hold hundreds."""
        if found.payload or found.vector:
            return cls.of(found)
        return cls(str(found.id), {}, _NOTHING, found.score)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a payload value; ``default`` if it is missing or null."""
        value = self.payload.get(key)
        return default if value is None else value

    def dense(self, name: str) -> list[float] | None:
        """Return the dense vector ``name``; None if the point has none."""
        vector: list[float] | None = self.vectors.get(name)
        return vector

    def sparse(self, name: str) -> models.SparseVector | None:
        """Return the sparse vector ``name``; None if the point has none."""
        vector: models.SparseVector | None = self.vectors.get(name)
        return vector


def stored_id(point: str) -> str | int:
    """Return a point id as Qdrant stores it: a UUID, or a whole number where somebody else has written the point.

    >>> stored_id("7"), stored_id("6f03a97d-eb59-4126-9cb8-31c147aac1cf")
    (7, '6f03a97d-eb59-4126-9cb8-31c147aac1cf')
    """
    return int(point) if point.isdecimal() else point


def flat(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten a stored payload: bookkeeping keys become paths.

    >>> flat({"title": "Jaws", "bookkeeping": {"stale": True}})
    {'title': 'Jaws', 'bookkeeping.stale': True}
    """
    if not payload:
        return {}
    values = dict(payload)
    inside = values.pop(BOOKKEEPING, None)
    if isinstance(inside, Mapping):
        for key, value in inside.items():
            values[_PREFIX + key] = value
    return values


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nest a flat payload into its stored form: bookkeeping last.

    >>> nested({"bookkeeping.stale": True, "title": "Jaws"})
    {'title': 'Jaws', 'bookkeeping': {'stale': True}}
    """
    readable, inside = _split(values)
    return {**readable, BOOKKEEPING: inside} if inside else readable


def _split(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    readable: dict[str, Any] = {}
    inside: dict[str, Any] = {}
    for key, value in values.items():
        if key.startswith(_PREFIX):
            inside[key.removeprefix(_PREFIX)] = value
        else:
            readable[key] = value
    return readable, inside


def new_point(point: str, values: Mapping[str, Any], vectors: Mapping[str, Any] | None = None) -> models.PointStruct:
    """Return a whole point to store, from a flat payload and named vectors."""
    return models.PointStruct(id=stored_id(point), vector=dict(vectors or {}), payload=nested(values))


def set_payload(values: Mapping[str, Any], condition: models.Filter) -> Sequence[models.SetPayloadOperation]:
    """Return operations that set these keys of a flat payload on all matching points and leave other keys alone.

    One operation sets the keys of one object. The bookkeeping is set second, so that it is never ahead of the keys it
    describes.
    """
    readable, inside = _split(values)
    parts = [(readable, None), (inside, BOOKKEEPING)]
    return [
        models.SetPayloadOperation(set_payload=models.SetPayload(payload=part, filter=condition, key=key))
        for part, key in parts
        if part
    ]
