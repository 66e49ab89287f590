"""Turns the columns of a row into the fields of an item or an event."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from llmrec_qdrant.contracts.config import FieldKind
from llmrec_qdrant.contracts.entities import RESERVED, Event, Item
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.sources import Cell, Row
from llmrec_qdrant.query.fields import as_kind

__all__ = ["LoadKind", "Reader", "event_of", "item_of"]


LoadKind = Literal["items", "events"]

FIELDS: dict[LoadKind, frozenset[str]] = {
    "items": frozenset(Item.model_fields), "events": frozenset(Event.model_fields),
}  # fmt: skip
"""Names that columns may have."""

REQUIRED_FIELDS: dict[LoadKind, tuple[str, ...]] = {"items": ("id",), "events": ("user", "type")}
"""Columns that a table must have."""


@dataclass(frozen=True)
class Reader:
    """Reads rows as items or events: renames columns, and converts cells to the kinds of the space's fields."""

    kind: LoadKind
    rename: Mapping[str, str] = field(default_factory=dict)
    """Column → new name; an empty name drops the column."""
    indexed: Mapping[str, FieldKind] = field(default_factory=dict)

    def read(self, row: Row) -> Item | Event:
        """Read a row as an item or an event.

        Raises :class:`InvalidInput` if the row is refused.
        """
        if row.error:
            raise InvalidInput(row.error)
        data = _renamed(row.data, self.rename)
        return item_of(data, self.indexed) if self.kind == "items" else event_of(data)

    def check(self, columns: Sequence[str]) -> None:
        """Check the columns of a table, once instead of once per row; a source without columns passes.

        Raises :class:`InvalidInput` for a required column that is missing, or one that cannot be loaded.
        """
        if not columns:
            return
        names = list(_renamed(dict.fromkeys(columns), self.rename))
        spare = [name for name in names if name not in FIELDS[self.kind]] or ["OLD"]
        for name in REQUIRED_FIELDS[self.kind]:
            if name not in names:
                raise InvalidInput(
                    f"the table has no column {name!r}, which {self.kind} need "
                    f"(it has {', '.join(columns)}): rename one with --map {spare[0]}={name}"
                )
        for name in names:
            if objection := self._objection(name):
                raise InvalidInput(
                    f"the column {name!r} {objection}: rename it with --map {name}=NEW, or drop it with --map {name}="
                )

    def _objection(self, name: str) -> str:
        """Say why a column cannot be loaded; empty if it can."""
        if name in FIELDS[self.kind]:
            return ""
        if self.kind == "events":
            return f"is not a field of an event ({', '.join(Event.model_fields)})"
        return "has a reserved name" if name in RESERVED else ""


def _renamed(data: Mapping[str, Any], rename: Mapping[str, str]) -> dict[str, Any]:
    """Rename fields; those with an empty new name are dropped."""
    return {new: value for name, value in data.items() if (new := rename.get(name, name))}


def item_of(data: Mapping[str, Any], kinds: Mapping[str, FieldKind] | None = None) -> Item:
    """Build an item from a row; columns that are not fields of an item go into the payload.

    A value is converted to the kind of its field, according to ``kinds``. A cell of an untyped table whose field has no kind
    becomes the number or truth value that it spells, and otherwise stays text.

    >>> item_of({"id": "1", "title": "Heat", "year": 1995}).payload
    {'year': 1995}
    """
    others = {name: value for name, value in data.items() if name not in FIELDS["items"]}
    fields = {name: value for name, value in data.items() if name in FIELDS["items"]}
    payload = {**_as_object(fields.pop("payload", {})), **others}
    kinds = kinds or {}
    typed = {
        name: as_kind(str(value) if isinstance(value, Cell) else value, kinds[name]) if name in kinds else _typed(value)
        for name, value in payload.items()
    }
    return Item(**fields, payload=typed)


def _as_object(payload: Any) -> Mapping[str, Any]:
    """Read the column ``payload``: an object, or its JSON text."""
    if isinstance(payload, str):
        try:
            payload = json.loads(payload)
        except (ValueError, RecursionError):
            raise InvalidInput(f"Item: 'payload': not valid JSON: {payload[:60]!r}") from None
    if not isinstance(payload, Mapping):
        raise InvalidInput(f"Item: 'payload': expected an object, not {str(payload)[:60]!r}")
    return payload


def event_of(data: Mapping[str, Any]) -> Event:
    """Build an event from a row.

    Raises :class:`InvalidInput` for a column that is not a field of an event.
    """
    unknown = sorted(data.keys() - FIELDS["events"])
    if unknown:
        raise InvalidInput(
            f"Event: unknown fields {unknown}: rename one with --map {unknown[0]}=item, "
            f"or drop it with --map {unknown[0]}="
        )
    return Event(**data)


def _typed(value: Any) -> Any:
    """Convert a cell of an untyped table to the number or truth value it spells; codes such as 007 stay text."""
    if not isinstance(value, Cell):
        return value
    if value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", value):
        return int(value)
    if re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+([eE][+-]?[0-9]{1,2})?|[eE][+-][0-9]{1,2})", value):
        return float(value)
    return str(value)
