"""Indexes fields that are declared, or declared anew with another kind, over items that are stored already."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from qdrant_client import models

from llmrec_qdrant.contracts.config import FieldKind, SpaceConfig
from llmrec_qdrant.contracts.paths import steps
from llmrec_qdrant.errors import FieldWarning, show
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.query.fields import misfits, words_of
from llmrec_qdrant.space.conditions import all_of, empty, none_of, only, where
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point, set_payload
from llmrec_qdrant.space.schema import field_indexes, index_kind
from llmrec_qdrant.space.words import WORDS_PREFIX

__all__ = ["adopt_fields"]

PAGE = 1_000
"""Items read at once."""


def adopt_fields(collection: str, config: SpaceConfig) -> Steps[None]:
    """Give the own fields of a collection the indexes of their kinds; nothing happens where they have them.

    Items are read once: text fields get their words, and values that do not fit their field are counted in a
    :class:`FieldWarning`. Words and indexes that no field needs any more go first.
    """
    present = yield from calls.index_kinds(collection)
    schemas = field_indexes(config)
    yield from _drop_words(collection, [key for key in present if key.startswith(WORDS_PREFIX) and key not in schemas])
    changed = {key: schema for key, schema in schemas.items() if present.get(key) != index_kind(schema)}
    for key in changed.keys() & present.keys():
        yield from calls.delete_index(collection, key)
    new = {path: kind for path, kind in config.fields.items() if field_indexes(config, [path]).keys() & changed.keys()}
    if new:
        yield from _read_items(collection, new)
    for key, schema in changed.items():
        yield from calls.create_index(collection, key, schema)


def _drop_words(collection: str, keys: Sequence[str]) -> Steps[None]:
    """Forget the words of fields that are no longer full text: writers do not keep them any more."""
    for key in keys:
        removal = models.DeletePayload(keys=[key], filter=none_of(empty(key)))
        yield from calls.update(collection, [models.DeletePayloadOperation(delete_payload=removal)])
        yield from calls.delete_index(collection, key)


class _Misfits:
    """Values of one field that do not fit its kind."""

    def __init__(self) -> None:
        self.items = 0
        self.example = ""

    def add(self, point: Point, values: Sequence[Any]) -> None:
        """Count an item with such values."""
        if values and not self.items:
            self.example = f"{show(values[0])} (item {point.get(Key.ITEM_ID)!r})"
        self.items += bool(values)


def _read_items(collection: str, fields: Mapping[str, FieldKind]) -> Steps[None]:
    """Read every item once: store words, and warn about values that do not fit."""
    keys = sorted({str(steps(path)[0]) for path in fields})
    counted = {path: _Misfits() for path in fields}
    total, offset = 0, None
    while True:
        points, offset = yield from calls.scroll(
            collection, limit=PAGE, offset=offset, payload=[Key.ITEM_ID, *map(_quoted, keys)]
        )
        operations: list[Any] = []
        for point in points:
            for path, kind in fields.items():
                counted[path].add(point, list(misfits(point.payload, path, kind)))
            operations += _words(point, fields)
        yield from calls.update(collection, operations)
        total += len(points)
        if offset is None:
            break
    for path, found in counted.items():
        if found.items:
            warnings.warn(
                f"the field {path!r} has kind {fields[path]} now, and {found.items:,} of {total:,} items hold values that do not "
                f"fit, such as {found.example}: filters on {path!r} do not find them until they are stored with values that fit",
                FieldWarning,
                stacklevel=2,
            )


def _quoted(key: str) -> str:
    return f'"{key}"'


def _words(point: Point, fields: Mapping[str, FieldKind]) -> list[Any]:
    """Return operations that store the words of an item, unless a writer has stored newer ones."""
    operations: list[Any] = []
    for key, words in words_of(point.payload, fields).items():
        operations += set_payload({key: words}, all_of(only(point.id), where(empty(key))) or only(point.id))
    return operations
