"""Update operations: models of the Qdrant client → steps of Qdrant Edge. Pure."""

from __future__ import annotations

from typing import Any

import qdrant_edge as edge
from qdrant_client import models

from llmrec_qdrant.embedded.conditions import edge_filter
from llmrec_qdrant.embedded.points import edge_point, edge_vectors
from llmrec_qdrant.errors import InvalidInput, show

__all__ = ["edge_operations", "written_points"]

U = edge.UpdateOperation


def edge_operations(operation: Any) -> list[edge.UpdateOperation]:
    """The steps of one operation.

    Raises :class:`InvalidInput` for one that this package never sends.
    """
    match operation:
        case models.UpsertOperation(upsert=models.PointsList() as whole):
            return [U.upsert_points([edge_point(point) for point in whole.points], edge_filter(whole.update_filter))]
        case models.UpdateVectorsOperation(update_vectors=change):
            vectors = [edge.PointVectors(point.id, edge_vectors(point.vector)) for point in change.points]
            return [U.update_vectors(vectors, edge_filter(change.update_filter))]
        case models.SetPayloadOperation(set_payload=change):
            return [U.set_payload_by_filter(_where(change), change.payload, key=change.key)]
        case models.OverwritePayloadOperation(overwrite_payload=change):
            return [U.overwrite_payload_by_filter(_where(change), change.payload, key=change.key)]
        case models.DeletePayloadOperation(delete_payload=change):
            return [U.delete_payload_by_filter(_where(change), list(change.keys))]
        case models.DeleteVectorsOperation(delete_vectors=change):
            return [U.delete_vectors_by_filter(_where(change), list(change.vector))]
        case models.DeleteOperation(delete=models.FilterSelector() as selector):
            return [U.delete_points_by_filter(_required(edge_filter(selector.filter)))]
        case models.DeleteOperation(delete=models.PointIdsList() as selector):
            return [U.delete_points([str(point) for point in selector.points])]
    raise InvalidInput(f"embedded Qdrant does not support the update {show(operation)}: use a Qdrant server for it")


def _where(change: Any) -> edge.Filter:
    """The points of a change: those of its filter, or those it names."""
    if change.filter is not None:
        return _required(edge_filter(change.filter))
    return edge.Filter(must=[edge.HasIdCondition({str(point) for point in change.points or []})])


def _required(condition: edge.Filter | None) -> edge.Filter:
    return condition or edge.Filter()


def written_points(operation: Any) -> int:
    """Count the points whose vectors an operation writes."""
    match operation:
        case models.UpsertOperation():
            return len(operation.upsert.points) if isinstance(operation.upsert, models.PointsList) else 1
        case models.UpdateVectorsOperation():
            return len(operation.update_vectors.points)
    return 0
