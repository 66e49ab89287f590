"""The commands about single items: ``items show`` and ``items update``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import CommandSet, Connected, ConnectedGroup, app
from llmrec_qdrant.cli.filters import split_values
from llmrec_qdrant.cli.printing import out, print_json, say, table_of
from llmrec_qdrant.contracts.answers import PartlyRejected, Receipt
from llmrec_qdrant.contracts.config import FieldKind
from llmrec_qdrant.errors import InvalidInput, NotFound
from llmrec_qdrant.query.conversion import as_kind
from llmrec_qdrant.recommender import Recommender

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

    A value is read by the kind of its field; of a field without a kind, as JSON or else as text. null removes a field. Where the item
    holds a list, commas separate, as in --filter. Titles and texts are changed by `llmrec load items`.

    Example: llmrec items update p42 price=79.90 in_stock=true 'tags=["sale", "outdoor"]'
    """
    with context.open() as rec:
        stored = rec.get_items([item])
        if not stored:
            raise _no_item(context, item)
        payload = _payload(values, rec.config.fields, stored[0].payload)
        receipt = _updated(rec, item, payload)
    if context.json:
        print_json(receipt.model_dump(mode="json"))
    else:
        say(f"{item} has these values already" if receipt.unchanged else f"{item}: {_shown(payload)}")


def _updated(rec: Recommender, item: str, payload: dict[str, Any]) -> Receipt:
    """Change one item; a refusal is about this item alone."""
    try:
        return rec.update_items([{"id": item, "payload": payload}])
    except PartlyRejected as error:
        raise InvalidInput(error.receipt.rejected[0].reason) from None


def _shown(payload: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} is removed" if value is None else f"{name} is now {json.dumps(value, ensure_ascii=False)}"
        for name, value in payload.items()
    )


def _payload(values: list[str], kinds: Mapping[str, FieldKind], stored: Mapping[str, Any]) -> dict[str, Any]:
    payload: dict[str, Any] = {}
    for text in values:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not name or not equals:
            raise InvalidInput(f"a change must have the form FIELD=VALUE, not {text!r}")
        if name in {"title", "text"}:
            raise InvalidInput(
                f"a {name} is encoded, too: put id and {name} in a file for `llmrec load items`; other fields stay"
            )
        several = isinstance(stored.get(name), list) and not _is_json(value)
        read = [_value(part, kinds.get(name)) for part in (split_values(value) if several else [value])]
        payload[name] = read if several else read[0]
    return payload


def _is_json(text: str) -> bool:
    return text.lstrip()[:1] in {"[", "{"} or text.strip() == "null"


def _value(text: str, kind: FieldKind | None) -> Any:
    """Read a value: of a field with a kind by that kind, lists and objects as JSON."""
    if kind is not None and not _is_json(text):
        return as_kind(text, kind)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
