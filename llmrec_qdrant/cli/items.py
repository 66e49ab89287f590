"""The commands about single items: ``items show`` and ``items update``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import CommandSet, Connected, ConnectedGroup, app
from llmrec_qdrant.cli.printing import out, print_json, say, table_of
from llmrec_qdrant.contracts.config import FieldKind
from llmrec_qdrant.errors import InvalidInput, NotFound
from llmrec_qdrant.query.fields import as_kind

items = CommandSet(
    cls=ConnectedGroup, no_args_is_help=True, help="Show items as they are stored, and change their fields."
)
app.add_typer(items, name="items", rich_help_panel="Space and data")


@items.command("show")
def show(context: Connected, ids: Annotated[list[str], typer.Argument(help="Item ids.")]) -> None:
    """Show items as they are stored: title, text and own fields.

    Example: llmrec items show tt0816692 tt0111161
    """
    with context.open() as rec:
        rec.status()  # refuses a space that does not exist
        stored = rec.get_items(ids)
    if context.json:
        print_json([item.model_dump(mode="json") for item in stored])
    else:
        for item in stored:
            table = table_of(item.id, ("field", "value"))
            for name, value in {"title": item.title, "text": item.text, **item.payload}.items():
                table.add_row(name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
            out.print(table)
    if missing := sorted(set(ids) - {item.id for item in stored}):
        raise _no_item(context, *missing[:5])


def _no_item(context: Connected, *ids: str) -> NotFound:
    return NotFound(f"there is no item {', '.join(map(repr, ids))} in space {context.space!r}: check the id")


@items.command("update")
def update(
    context: Connected,
    item: Annotated[str, typer.Argument(help="Item id.")],
    values: Annotated[list[str], typer.Argument(metavar="FIELD=VALUE…", help="Fields and their new values.")],
) -> None:
    """Change own fields of a stored item, such as a price; other fields stay, and nothing is encoded again.

    A value is read by the kind of its field; of a field without a kind, as JSON or else as text.

    Example: llmrec items update p42 price=79.90 in_stock=true 'tags=["sale", "outdoor"]'
    """
    with context.open() as rec:
        payload = _payload(values, rec.config.fields)
        if not rec.get_items([item]):
            raise _no_item(context, item)
        receipt = rec.update_items([{"id": item, "payload": payload}])
    if context.json:
        print_json(receipt.model_dump(mode="json"))
    else:
        say(f"{item} has these values already" if receipt.unchanged else f"{item}: {', '.join(payload)} changed")


def _payload(values: list[str], kinds: Mapping[str, FieldKind]) -> dict[str, Any]:
    payload: dict[str, Any] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not name.strip() or not equals:
            raise InvalidInput(f"a change must have the form FIELD=VALUE, not {text!r}")
        payload[name.strip()] = _value(value, kinds.get(name.strip()))
    return payload


def _value(text: str, kind: FieldKind | None) -> Any:
    """Read a value: of a field with a kind by that kind, lists and objects as JSON."""
    if kind is not None and text.lstrip()[:1] not in {"[", "{"} and text.strip() != "null":
        return as_kind(text, kind)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
