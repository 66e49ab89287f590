"""Compares two stored points, value by value. Pure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from qdrant_client import models

__all__ = ["difference"]

FLOAT_TOLERANCE = 1e-15
"""Relative difference of payload floats that reading JSON can cause: a server may store the neighbour of a number of 17 digits."""


def difference(point: models.PointStruct, copy: models.PointStruct) -> str:
    """Return in words what differs between two points; empty for equal ones.

    Payloads are equal with their types: 1, 1.0 and true differ; floats may differ in their last digit, which a server does
    not keep. Vectors are equal as float32, the precision of Qdrant.

    >>> one, two = (models.PointStruct(id=1, vector={}, payload={"year": year}) for year in (1999, 2000))
    >>> difference(one, two), difference(one, one)
    ("payload 'year' differs", '')
    """
    mine, other = dict(point.payload or {}), dict(copy.payload or {})
    for key in sorted({*mine, *other}):
        if key not in mine or key not in other or not _same_value(mine[key], other[key]):
            return f"payload {key!r} differs"
    vectors, copied = _vectors(point), _vectors(copy)
    for name in sorted({*vectors, *copied}):
        if name not in vectors or name not in copied or not _same(vectors[name], copied[name]):
            return f"vector {name!r} differs"
    return ""


def _same_value(value: Any, copy: Any) -> bool:
    if type(value) is not type(copy):
        return False
    if isinstance(value, dict):
        return value.keys() == copy.keys() and all(_same_value(part, copy[key]) for key, part in value.items())
    if isinstance(value, list):
        return len(value) == len(copy) and all(map(_same_value, value, copy))
    if isinstance(value, float):
        return math.isclose(value, copy, rel_tol=FLOAT_TOLERANCE)
    return bool(value == copy)


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
