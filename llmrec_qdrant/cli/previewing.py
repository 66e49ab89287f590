"""Shows the first rows of a source as they would be stored: ``load --dry-run``."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from llmrec_qdrant.cli.app import Connected
from llmrec_qdrant.cli.printing import cell_of, out, print_json, say, table_of
from llmrec_qdrant.contracts.config import FieldKind
from llmrec_qdrant.contracts.entities import Item
from llmrec_qdrant.errors import InvalidInput, LlmrecError
from llmrec_qdrant.load.columns import LoadKind
from llmrec_qdrant.load.loader import How, look
from llmrec_qdrant.load.sources import Row, Source
from llmrec_qdrant.load.survey import Survey
from llmrec_qdrant.query.fields import check_payload

__all__ = ["preview"]

SHOWN_ROWS = 5
"""Rows that are shown."""

MAX_CELL = 60
"""Characters of a value that are shown."""


def preview(context: Connected, source: Source, kind: LoadKind, how: How) -> None:
    """Print what is assumed of a source, and its first rows as they would be stored.

    Raises :class:`InvalidInput` for a source that cannot be loaded.
    """
    indexed = _indexed(context)
    source, seen = look(source, kind, how, indexed)
    stored, refused = _read(seen, indexed)
    if context.json:
        print_json({"assumed": list(seen.assumed), "stored": stored, "refused": refused})
        return
    for sentence in seen.assumed:
        say(sentence, "yellow")
    _print_rows(stored, f"{kind} from {source.name}, as they would be stored")
    for row in refused:
        say(f"line {row['line']:,} would be refused: {row['reason']}", "yellow")
    say("nothing was stored: leave out --dry-run to load")


def _indexed(context: Connected) -> dict[str, FieldKind]:
    """Return the kinds of the space's fields; none if there is no space yet."""
    try:
        with context.open() as rec:
            return dict(rec.config.fields)
    except LlmrecError:
        return {}


def _read(seen: Survey, indexed: Mapping[str, FieldKind]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    stored: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for row in seen.sample:
        if len(stored) >= SHOWN_ROWS or len(refused) >= SHOWN_ROWS:
            break
        try:
            stored += islice(_entities(seen, row, indexed), SHOWN_ROWS - len(stored))
        except InvalidInput as error:
            refused.append({"line": row.place, "reason": str(error)})
    return stored, refused


def _entities(seen: Survey, row: Row, indexed: Mapping[str, FieldKind]) -> list[dict[str, Any]]:
    """Return what a row becomes.

    Raises :class:`InvalidInput` if loading it would be refused.
    """
    entities = [seen.reader.read(data, row, part) for part, data in enumerate(seen.reader.parts(row))]
    for entity in entities:
        check_payload(_payload(entity), indexed)
    return [_shown(entity.model_dump(mode="json")) | _payload(entity) for entity in entities]


def _shown(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "") and name != "payload"}


def _payload(entity: Any) -> dict[str, Any]:
    return dict(entity.payload) if isinstance(entity, Item) else {}


def _print_rows(rows: list[dict[str, Any]], title: str) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = table_of(title, names)
    for row in rows:
        cells = [cell_of(row.get(name)) for name in names]
        table.add_row(*(cell if len(cell) <= MAX_CELL else cell[: MAX_CELL - 1] + "…" for cell in cells))
    out.print(table)
