"""The commands about events: ``events list`` and ``events delete``."""

from __future__ import annotations

from typing import Annotated

import typer

from llmrec_qdrant.cli.app import CommandSet, Connected, ConnectedGroup, app
from llmrec_qdrant.cli.catching_up import catch_up
from llmrec_qdrant.cli.options import Wait, Yes, confirm
from llmrec_qdrant.cli.printing import counted_as, out, print_json, say, table_of
from llmrec_qdrant.errors import InvalidInput

events = CommandSet(cls=ConnectedGroup, no_args_is_help=True, help="List the events of a user, and undo events.")
app.add_typer(events, name="events", rich_help_panel="Space and data")


@events.command("list")
def list_events(
    context: Connected,
    user: Annotated[str, typer.Argument(help="User id.")],
    limit: Annotated[int, typer.Option("--limit", "-n", help="Number of events.")] = 20,
) -> None:
    """List the latest events of a user, newest first.

    Example: llmrec events list alice -n 100
    """
    with context.open() as rec:
        rec.status()  # refuses a space that does not exist
        listed = rec.events(user, limit)
    if context.json:
        print_json([event.model_dump(mode="json") for event in listed])
        return
    table = table_of(f"latest events of {user}", ("time (UTC)", "type", "item", "value", "text"), right={"value"})
    table.add_column("id", no_wrap=True, min_width=max((len(event.event_id) for event in listed), default=0))
    for event in listed:
        time, value = (
            event.ts.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds"),
            "" if event.value is None else f"{event.value:g}",
        )
        table.add_row(time, event.type, event.item or "", value, event.text, event.event_id)
    out.print(table) if listed else say(f"there are no events of {user}")


@events.command("delete")
def delete_events(
    context: Connected,
    ids: Annotated[list[str] | None, typer.Argument(help="Event ids.")] = None,
    user: Annotated[str | None, typer.Option(help="Only events of this user.")] = None,
    item: Annotated[str | None, typer.Option(help="Only events about this item.")] = None,
    yes: Yes = False,
    wait: Wait = True,
) -> None:
    """Undo events: the users' vectors, seen items and interests follow. An event that is loaded again counts again.

    Example: llmrec events delete --user alice --item tt0816692

    Example: llmrec events delete order-1017 order-1018
    """
    if not (ids or user or item):
        raise InvalidInput("name the events to delete: event ids, --user or --item")
    chosen = _in_words(ids or [], user, item)
    confirm(f"delete {chosen}?", yes)
    with context.open() as rec:
        rec.status()  # refuses a space that does not exist
        count = rec.remove_events(ids=ids or None, user=user, item=item)
        if count:
            catch_up(rec, wait=wait, quiet=context.json)
    if context.json:
        print_json({"deleted": count})
    else:
        say(f"{counted_as(count, 'event')} deleted" if count else "no such events: nothing deleted")


def _in_words(ids: list[str], user: str | None, item: str | None) -> str:
    parts = [counted_as(len(ids), "event") if ids else "all events"]
    parts += [f"of user {user!r}"] if user else []
    parts += [f"about item {item!r}"] if item else []
    return " ".join(parts)
