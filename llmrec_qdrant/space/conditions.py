"""TODO: llmrec_qdrant.space.conditions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qdrant_client import models

from llmrec_qdrant.space.layout import Key

__all__ = ["all_of", "equals", "has_id", "one_of", "tenant_filter", "unchanged", "where"]


# A condition that no point fulfils: an upsert under it inserts new points and leaves existing ones alone.
NEVER = models.Filter(must=[models.HasIdCondition(has_id=[])])


def only(*points: str) -> models.Filter:
    """As a filter, missing points are no error."""
    return models.Filter(must=[models.HasIdCondition(has_id=list(points))])


def tenant_filter(tenant: str | None) -> models.Filter | None:
    """The one place where tenancy becomes a condition."""
    if tenant is None:
        return None
    return models.Filter(must=[models.FieldCondition(key=Key.TENANT, match=models.MatchValue(value=tenant))])


def all_of(*filters: models.Filter | None) -> models.Filter | None:
    """The conjunction of filters, None for none."""
    given = [one for one in filters if one is not None]
    if len(given) < 2:
        return given[0] if given else None
    return models.Filter(must=list(given))


def equals(key: str, value: Any) -> models.FieldCondition:
    """Payload ``key`` is ``value``."""
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def one_of(key: str, values: Sequence[Any]) -> models.FieldCondition:
    """Payload ``key`` is, or contains, one of ``values``."""
    return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))


def has_id(*points: str) -> models.HasIdCondition:
    """The point is one of these."""
    return models.HasIdCondition(has_id=list(points))


def unchanged(records: Sequence[models.Record], key: str) -> models.Filter:
    """These points, as long as the source of each is the one that was read: ``key`` names its digest or revision."""
    values = list({str((record.payload or {}).get(key)) for record in records})
    return where(has_id(*(str(record.id) for record in records)), one_of(key, values))


def where(*conditions: Any) -> models.Filter:
    """All conditions hold."""
    return models.Filter(must=list(conditions))


def stale() -> models.FieldCondition:
    """The vectors lag their source."""
    return equals(Key.STALE, True)
