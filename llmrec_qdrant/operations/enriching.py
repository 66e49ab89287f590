"""Adds values that a language model found to items that lack them; a value that a person wrote is never replaced."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.versions import on_every_version
from llmrec_qdrant.query.fields import words_of
from llmrec_qdrant.space.conditions import empty, equals, has_id, where
from llmrec_qdrant.space.layout import Key

__all__ = ["add_values"]

Value = str | int


def add_values(bound: Bound, point: str, source: str, values: Mapping[str, Value]) -> Steps[None]:
    """Add values of declared fields to an item whose texts still have the digest ``source``, and mark them as generated.

    Qdrant compares and writes in one step: a field that has a value by then keeps it.
    """
    yield from on_every_version(bound.space, partial(_add_at, bound, point, source, values))


def _add_at(bound: Bound, point: str, source: str, values: Mapping[str, Value], version: int) -> Steps[None]:
    collection = bound.space.at(version).items
    for field, value in values.items():
        missing = where(has_id(point), equals(Key.SRC_HASH, source), empty(field))
        points = yield from calls.retrieve(collection, [point], [Key.GENERATED])
        marked = {**(points[0].get(Key.GENERATED) or {}), field: value} if points else {}
        beside = {Key.GENERATED: marked, **words_of({field: value}, bound.config.fields)}
        yield from calls.update_payload(collection, beside, missing)  # first: it depends on the field being empty
        yield from calls.update_payload(collection, {field: value}, missing)
