"""Filters: models of the Qdrant client → objects of Qdrant Edge. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

import numpy as np
import qdrant_edge as edge
from qdrant_client import models

from llmrec_qdrant.errors import InvalidFilter, show

__all__ = ["edge_condition", "edge_filter"]


def edge_filter(condition: models.Filter | None) -> edge.Filter | None:
    """A filter, None for none.

    Raises :class:`InvalidFilter` for a condition that Qdrant Edge does not know.
    """
    if condition is None:
        return None
    at_least = condition.min_should
    return edge.Filter(
        must=_conditions(condition.must),
        should=_conditions(condition.should),
        must_not=_conditions(condition.must_not),
        min_should=edge.MinShould(_conditions(at_least.conditions) or [], at_least.min_count) if at_least else None,
    )


def _conditions(conditions: Any) -> list[Any] | None:
    if conditions is None:
        return None
    listed = conditions if isinstance(conditions, list) else [conditions]
    return [edge_condition(condition) for condition in listed]


def edge_condition(condition: Any) -> Any:
    """One condition of a filter or of a formula."""
    match condition:
        case models.Filter():
            return edge_filter(condition)
        case models.FieldCondition():
            return _field(condition)
        case models.HasIdCondition():
            return edge.HasIdCondition({_point_id(point) for point in condition.has_id})
        case models.IsEmptyCondition():
            return edge.IsEmptyCondition(condition.is_empty.key)
        case models.IsNullCondition():
            return edge.IsNullCondition(condition.is_null.key)
        case models.HasVectorCondition():
            return edge.HasVectorCondition(condition.has_vector)
        case models.NestedCondition():
            return edge.NestedCondition(condition.nested.key, edge_filter(condition.nested.filter) or edge.Filter())
    raise InvalidFilter(f"embedded Qdrant does not know the condition {show(condition)}: use a Qdrant server for it")


def _point_id(point: Any) -> Any:
    return point if isinstance(point, int) else str(point)


def _field(condition: models.FieldCondition) -> edge.FieldCondition:
    parts: Mapping[str, Any] = {
        "match": condition.match,
        "range": condition.range,
        "geo_bounding_box": condition.geo_bounding_box,
        "geo_radius": condition.geo_radius,
        "geo_polygon": condition.geo_polygon,
        "values_count": condition.values_count,
    }
    converted = {name: _part(value) for name, value in parts.items() if value is not None}
    flags = {name: getattr(condition, name, None) for name in ("is_empty", "is_null")}
    return edge.FieldCondition(key=condition.key, **converted, **flags)


def _part(value: Any) -> Any:
    build = _CONVERTERS.get(type(value))
    if build is None:
        raise InvalidFilter(f"embedded Qdrant does not know {type(value).__name__} in a filter: use a Qdrant server")
    return build(value)


def _match_value(match: models.MatchValue) -> edge.MatchValue:
    # Qdrant Edge 0.9 reads a Python bool as an integer, and numpy's as a bool.
    return edge.MatchValue(np.bool_(match.value) if isinstance(match.value, bool) else match.value)  # type: ignore[arg-type]


def _moment(value: Any) -> str | None:
    return value.isoformat() if isinstance(value, datetime | date) else value


def _bounds(value: Any, convert: Callable[[Any], Any] = lambda bound: bound) -> dict[str, Any]:
    return {name: convert(getattr(value, name)) for name in ("gt", "gte", "lt", "lte")}


def _place(point: models.GeoPoint) -> edge.GeoPoint:
    return edge.GeoPoint(point.lon, point.lat)


def _line(line: models.GeoLineString) -> list[edge.GeoPoint]:
    return [_place(point) for point in line.points]


_CONVERTERS: Mapping[type, Callable[[Any], Any]] = {
    models.MatchValue: _match_value,
    models.MatchAny: lambda match: edge.MatchAny(list(match.any)),
    models.MatchExcept: lambda match: edge.MatchExcept(list(match.except_)),
    models.MatchText: lambda match: edge.MatchText(match.text),
    models.MatchTextAny: lambda match: edge.MatchTextAny(match.text_any),
    models.MatchPhrase: lambda match: edge.MatchPhrase(match.phrase),
    models.Range: lambda bounds: edge.RangeFloat(**_bounds(bounds)),
    models.DatetimeRange: lambda bounds: edge.RangeDateTime(**_bounds(bounds, _moment)),
    models.ValuesCount: lambda count: edge.ValuesCount(**_bounds(count)),
    models.GeoRadius: lambda circle: edge.GeoRadius(_place(circle.center), circle.radius),
    models.GeoBoundingBox: lambda box: edge.GeoBoundingBox(_place(box.top_left), _place(box.bottom_right)),
    models.GeoPolygon: lambda area: edge.GeoPolygon(
        _line(area.exterior), [_line(hole) for hole in area.interiors or []]
    ),
}
