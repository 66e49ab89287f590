"""Compares two stored points, value by value. Pure."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from qdrant_client import models

__all__ = ["difference"]


def difference(point: models.PointStruct, copy: models.PointStruct) -> str:
    """Return in words what differs between two points; empty for equal ones.

    Payloads are equal with their types: 1, 1.0 and true differ. Vectors are equal as float32, the precision of Qdrant.

    >>> one, two = (models.PointStruct(id=1, vector={}, payload={"year": year}) for year in (1999, 2000))
    >>> difference(one, two), difference(one, one)
    ("payload 'year' differs", '')
    """
    mine, other = dict(point.payload or {}), dict(copy.payload or {})
    if json.dumps(mine, sort_keys=True) != json.dumps(other, sort_keys=True):
        keys = {*mine, *other}
        differing = (key for key in sorted(keys) if _text(mine, key) != _text(other, key))
        return f"payload {next(differing)!r} differs"
    vectors, copied = _vectors(point), _vectors(copy)
    for name in sorted({*vectors, *copied}):
        if name not in vectors or name not in copied or not _same(vectors[name], copied[name]):
            return f"vector {name!r} differs"
    return ""


def _text(payload: dict[str, Any], key: str) -> str:
    return json.dumps(payload[key], sort_keys=True) if key in payload else ""


def _vectors(point: models.PointStruct) -> dict[str, Any]:
    return point.vector if isinstance(point.vector, dict) else {}


def _same(vector: Any, copy: Any) -> bool:
    if isinstance(vector, models.SparseVector) and isinstance(copy, models.SparseVector):
        return _weights(vector) == _weights(copy)
    if isinstance(vector, models.SparseVector) or isinstance(copy, models.SparseVector):
        return False
    return np.array_equal(np.asarray(vector, np.float32), np.asarray(copy, np.float32))


def _weights(vector: models.SparseVector) -> dict[int, np.float32]:
    """Index → value, since the order of the indices has no meaning."""
    return dict(zip(vector.indices, np.asarray(vector.values, np.float32), strict=True))
