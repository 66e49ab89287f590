"""Splits inputs into batches, parses them one by one, and adds up receipts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel

from llmrec_qdrant.contracts.answers import PartlyRejected, Receipt, Rejected
from llmrec_qdrant.contracts.checks import several
from llmrec_qdrant.errors import InvalidInput, show

__all__ = [
    "MAX_CHARACTERS",
    "POINTS_PER_REQUEST",
    "add",
    "as_list",
    "batches",
    "by_size",
    "check_many",
    "map_ahead",
    "raise_rejected",
    "read_all",
]

POINTS_PER_REQUEST = 256
"""Points per request."""
MAX_CHARACTERS = 4_000_000
"""Characters per request: Qdrant refuses bodies over 32 MB."""

T = TypeVar("T")
R = TypeVar("R")


def batches(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield consecutive lists of at most ``size`` values."""
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch


def map_ahead(threads: Executor | None, function: Callable[[T], R], values: Iterable[T]) -> Iterator[R]:
    """Yield ``function`` of each value, computed in a thread while the one before is being used; without ``threads``, one by one."""
    if threads is None:
        yield from map(function, values)
        return
    running: deque[Future[R]] = deque()
    for value in values:
        running.append(threads.submit(function, value))
        if len(running) > 1:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


def by_size(values: Iterable[T], size: Callable[[T], int], largest: int = MAX_CHARACTERS) -> Iterator[list[T]]:
    """Yield consecutive lists whose sizes add up to at most ``largest``; a larger value gets a list of its own."""
    batch: list[T] = []
    total = 0
    for value in values:
        if batch and total + size(value) > largest:
            yield batch
            batch, total = [], 0
        batch.append(value)
        total += size(value)
    if batch:
        yield batch


def check_many(values: Iterable[T]) -> Iterable[T]:
    """Return ``values`` if it is an iterable of items or events.

    Raises :class:`InvalidInput` for a single item or event, whose fields would otherwise be read as a list.
    """
    value: object = values
    if isinstance(value, str | bytes | Mapping | BaseModel) or not isinstance(value, Iterable):
        raise InvalidInput(f"expected a list; wrap a single item or event: [{show(value)}]")
    if isinstance(value, np.ndarray) and not value.ndim:
        raise InvalidInput(f"expected a list, not {show(value)}")
    return values


def as_list(ids: Iterable[str]) -> Iterable[str]:
    """Return the ids as a list, even if the caller passed a single id; raises :class:`InvalidInput` for anything else."""
    return [ids] if isinstance(ids, str) else several(ids)


def read_all(values: Iterable[Any], read: Callable[[Any], T], name: str) -> tuple[list[T], list[Rejected]]:
    """Parse inputs; returns those that can be read, and the rejected ones. ``name``: the field that identifies an input."""
    parsed: list[T] = []
    rejected: list[Rejected] = []
    for position, value in enumerate(values):
        try:
            parsed.append(read(value))
        except InvalidInput as error:
            label = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
            rejected.append(
                Rejected(position=position, id=None if label is None else str(label)[:80], reason=str(error))
            )
    return parsed, rejected


def add(total: Receipt, part: Receipt) -> Receipt:
    """Add two receipts; positions in the second one continue those in the first."""
    offset = total.written + total.unchanged + total.duplicates + len(total.rejected)
    moved = [line.model_copy(update={"position": line.position + offset}) for line in part.rejected]
    return Receipt(
        written=total.written + part.written,
        unchanged=total.unchanged + part.unchanged,
        duplicates=total.duplicates + part.duplicates,
        textless=total.textless + part.textless,
        rejected=total.rejected + moved,
        queued=total.queued and part.queued,
    )


def raise_rejected(receipt: Receipt, what: str) -> None:
    """Raise :class:`PartlyRejected` if a receipt has rejected inputs."""
    if receipt.rejected:
        first = receipt.rejected[0]
        raise PartlyRejected(
            f"{len(receipt.rejected)} of the {what} were refused, {receipt.written + receipt.unchanged} are stored; "
            f"first: {first.id!r} at position {first.position}: {first.reason}",
            receipt,
        )
