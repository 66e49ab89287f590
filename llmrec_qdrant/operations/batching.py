"""TODO: llmrec_qdrant.operations.batching."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel

from llmrec_qdrant.contracts.answers import PartlyRejected, Receipt, Rejected
from llmrec_qdrant.errors import InvalidInput, show

BATCH = 256
"""Points per request."""


BATCH_SIZE = 4_000_000
"""Characters per request: Qdrant refuses bodies over 32 MB."""


T = TypeVar("T")


def batches(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most ``size``."""
    iterator = iter(things)
    while batch := list(islice(iterator, size)):
        yield batch


def many(given: Iterable[T]) -> Iterable[T]:
    """``given``, unless it is a single thing, which would be taken apart.

    Raises :class:`InvalidInput`.
    """
    what: object = given
    if isinstance(what, str | bytes | Mapping | BaseModel) or not isinstance(what, Iterable):
        raise InvalidInput(f"give a list, also of a single one: [{show(what)}]")
    return given


def by_size(things: Iterable[T], size: Callable[[T], int], most: int = BATCH_SIZE) -> Iterator[list[T]]:
    """Consecutive lists whose sizes add up to at most ``most``, or of a single thing."""
    batch: list[T] = []
    total = 0
    for one in things:
        if batch and total + size(one) > most:
            yield batch
            batch, total = [], 0
        batch.append(one)
        total += size(one)
    if batch:
        yield batch


def read_all(given: Iterable[Any], read: Callable[[Any], T], name: str) -> tuple[list[T], list[Rejected]]:
    """Every input that can be read, and why the others cannot; ``name`` is the field with the id."""
    good: list[T] = []
    bad: list[Rejected] = []
    for position, one in enumerate(given):
        try:
            good.append(read(one))
        except InvalidInput as error:
            label = one.get(name) if isinstance(one, Mapping) else getattr(one, name, None)
            bad.append(Rejected(position=position, id=None if label is None else str(label)[:80], reason=str(error)))
    return good, bad


def _refuse(receipt: Receipt, what: str) -> None:
    if receipt.rejected:
        first = receipt.rejected[0]
        raise PartlyRejected(
            f"{len(receipt.rejected)} of the {what} were refused, {receipt.written + receipt.unchanged} are stored; "
            f"first: number {first.position} ({first.id!r}): {first.reason}",
            receipt,
        )


def add(total: Receipt, part: Receipt) -> Receipt:
    """Two receipts as one; positions of the second go on after the first."""
    offset = total.written + total.unchanged + total.duplicates + len(total.rejected)
    moved = [one.model_copy(update={"position": one.position + offset}) for one in part.rejected]
    return Receipt(
        written=total.written + part.written,
        unchanged=total.unchanged + part.unchanged,
        duplicates=total.duplicates + part.duplicates,
        textless=total.textless + part.textless,
        rejected=total.rejected + moved,
        queued=total.queued and part.queued,
    )


def listed(ids: Iterable[str]) -> Iterable[str]:
    """Ids, also where a caller gave a single one."""
    return [ids] if isinstance(ids, str) else ids
