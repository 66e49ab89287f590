"""Builds every Qdrant filter on the bookkeeping and the other payload keys of the product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qdrant_client import models

from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point, stored_id

__all__ = [
    "NEVER",
    "all_of",
    "empty",
    "equals",
    "has_id",
    "none_of",
    "one_of",
    "only",
    "set_aside",
    "stale",
    "tenant_filter",
    "unchanged",
    "where",
]

NEVER = models.Filter(must=[models.HasIdCondition(has_id=[])])
"""Matches no point: an upsert with this filter stores new points and leaves existing points alone."""


# --- conditions: parts of a filter ----------------------------------------------------------------


def equals(key: str, value: Any) -> models.FieldCondition:
    """Condition: the payload value ``key`` equals ``value``, or is a list that contains it."""
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def one_of(key: str, values: Sequence[Any]) -> models.FieldCondition:
    """Condition: the payload value ``key`` is one of ``values``, or a list that contains one of them."""
    return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))


def empty(key: str) -> models.IsEmptyCondition:
    """Condition: the payload value ``key`` is missing, null or an empty list."""
    return models.IsEmptyCondition(is_empty=models.PayloadField(key=key))


def has_id(*points: str) -> models.HasIdCondition:
    """Condition: the point has one of these ids, which are not validated one by one: there may be a thousand."""
    return models.HasIdCondition.model_construct(has_id=[stored_id(point) for point in points])


def stale() -> models.FieldCondition:
    """Condition: the vectors are older than their source."""
    return equals(Key.STALE, True)


def set_aside() -> models.FieldCondition:
    """Condition: the point failed too often, and waits for an edit or a retry."""
    return equals(Key.SET_ASIDE, True)


# --- filters --------------------------------------------------------------------------------------


def where(*conditions: Any) -> models.Filter:
    """Filter: all conditions hold; a condition may itself be a filter."""
    return models.Filter(must=list(conditions))


def none_of(*conditions: Any) -> models.Filter:
    """Filter: no condition holds."""
    return models.Filter(must_not=list(conditions))


def only(*points: str) -> models.Filter:
    """Filter: the points with these ids. Unlike a list of ids, a filter accepts ids that do not exist."""
    return where(has_id(*points))


def tenant_filter(tenant: str | None) -> models.Filter | None:
    """Filter: the points of a tenant; None without a tenant. Tenancy becomes a condition here and nowhere else."""
    return None if tenant is None else where(equals(Key.TENANT, tenant))


def all_of(*filters: models.Filter | None) -> models.Filter | None:
    """Combine filters: all of them hold; None for no filters."""
    present = [part for part in filters if part is not None]
    if len(present) < 2:
        return present[0] if present else None
    return where(*present)


def unchanged(points: Sequence[Point], key: str) -> models.Filter:
    """Filter: these points, as long as each still has the source that was read.

    ``key`` is the payload key of the source's digest or revision. No two points share a digest, so one filter serves all.
    """
    values = list({str(point.get(key)) for point in points})
    return where(has_id(*(point.id for point in points)), one_of(key, values))
