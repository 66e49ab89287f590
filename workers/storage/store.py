"""What workers do with Qdrant: read everything of something, write only what is still true."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from typing import Any

from qdrant_client import QdrantClient, models

from llmrec_qdrant.errors import NotFound, QdrantUnavailable
from llmrec_qdrant.operations.translate import translated

__all__ = ["count", "pause", "remote", "scroll", "write_existing"]


PAGE = 1_000
"""Points per page of a scroll."""


def remote(client: QdrantClient) -> bool:
    """Whether this is a server, which serves many threads; embedded Qdrant serves one."""
    return not hasattr(client, "_client") or type(client._client).__name__ != "QdrantLocal"


def scroll(
    client: QdrantClient,
    collection: str,
    condition: models.Filter | None,
    payload: Sequence[str] | bool | models.PayloadSelectorExclude,
    vectors: bool | Sequence[str] = False,
) -> Iterator[list[models.Record]]:
    """Pages of all matching points, in the order of their ids; memory holds one page."""
    offset: Any = None
    while True:
        with translated():
            page, offset = client.scroll(
                collection, scroll_filter=condition, limit=PAGE, offset=offset,
                with_payload=list(payload) if isinstance(payload, Sequence) else payload, with_vectors=list(vectors) if isinstance(vectors, Sequence) else vectors,
            )  # fmt: skip
        if page:
            yield page
        if offset is None:
            return


def count(client: QdrantClient, collection: str, condition: models.Filter | None = None) -> int:
    """Exact number of matching points."""
    with translated():
        return client.count(collection, count_filter=condition, exact=True).count


def write_existing(
    client: QdrantClient,
    collection: str,
    points: Sequence[models.PointVectors],
    guard: models.Filter | None = None,
    payloads: Sequence[models.SetPayload] = (),
    before: Sequence[models.SetPayload] = (),
) -> None:
    """Update vectors of points that still exist and still fulfil ``guard`` (if any); nothing is ever created.

    Qdrant refuses a whole batch in which one id is missing, so missing ones are dropped and the rest
    is sent again; a point that is deleted in between costs one more round, bounded by the batch.
    ``payloads`` follow in the same request; their own filters make them safe for missing points. ``before`` goes ahead
    in a request of its own that nobody waits for: Qdrant does one after the other, so they are done when the rest is,
    and it need not bring each of them to the disk by itself.
    """
    if before:
        _patiently(client, collection, [models.SetPayloadOperation(set_payload=one) for one in before], wait=False)
    left = list(points)
    while True:
        operations: list[Any] = []
        if left:
            update = models.UpdateVectors(points=left, update_filter=guard)
            operations.append(models.UpdateVectorsOperation(update_vectors=update))
        operations += [models.SetPayloadOperation(set_payload=one) for one in payloads]
        if not operations:
            return
        try:
            _patiently(client, collection, operations, wait=True)
            return
        except NotFound:
            if not left:
                raise
            with translated():
                found = client.retrieve(collection, [one.id for one in left], with_payload=False)
            alive = {str(record.id) for record in found}
            remaining = [one for one in left if str(one.id) in alive]
            if len(remaining) == len(left):  # came back in between
                continue
            left = remaining


PATIENCE = 6
"""Tries of a write while Qdrant is away: about six seconds, in which a killed Qdrant is back."""


def _patiently(client: QdrantClient, collection: str, operations: Sequence[Any], wait: bool) -> None:
    """Write; what was computed for it would be lost if a short absence of Qdrant ended the task."""
    for tries in range(PATIENCE):
        try:
            with translated():
                client.batch_update_points(collection, operations, wait=wait)
            return
        except QdrantUnavailable as error:
            if tries == PATIENCE - 1 or (error.retry_after or 0) > 5:
                raise
            time.sleep(pause(tries, error, 0.4, 2.0))


def pause(tries: int, error: QdrantUnavailable, first: float, most: float) -> float:
    """Seconds before the next try: what Qdrant asked for, else ``first`` doubling up to ``most``, with jitter."""
    return error.retry_after or min(first * 2.0**tries, most) * random.uniform(0.5, 1.0)
