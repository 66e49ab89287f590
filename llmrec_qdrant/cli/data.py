"""The commands that list users and delete data: ``users``, ``delete`` and ``forget``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from llmrec_qdrant.cli.app import Connected, app
from llmrec_qdrant.cli.options import Yes, confirm
from llmrec_qdrant.cli.printing import counted_as, print_json, say, warn
from llmrec_qdrant.contracts.checks import checked_tenant, external_id
from llmrec_qdrant.recommender import Recommender
from llmrec_qdrant.space.conditions import equals, where
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Key, Space

MAX_NAMESAKES = 5
"""Tenants that are named if each has a user of the same id."""


@app.command(rich_help_panel="Space and data")
def users(context: Connected) -> None:
    """List the ids of all users, one per line.

    Example: llmrec users | head
    """
    with context.open() as rec:
        rec.status()  # refuses a space that does not exist
        if context.json:
            print_json(list(rec.users()))
            return
        for user in rec.users():
            say(user)


@app.command(rich_help_panel="Space and data")
def delete(context: Connected, items: Annotated[list[str], typer.Argument(help="Item ids.")], yes: Yes = False) -> None:
    """Delete items. Events about them stay, so an item that is loaded again keeps its history.

    Example: llmrec delete tt0816692 tt0111161 --yes
    """
    confirm(f"delete {repr(items[0]) if len(items) == 1 else counted_as(len(items), 'item')}?", yes)
    with context.open() as rec:
        count = rec.delete_items(items)
    if context.json:
        print_json({"deleted": count})
    elif not count:
        say("no such item: nothing deleted")
    else:
        absent = len(dict.fromkeys(items)) - count
        say(f"{counted_as(count, 'item')} deleted" + (f"; not in the space: {absent:,}" if absent else ""))


@app.command(rich_help_panel="Space and data")
def forget(
    context: Connected,
    user: Annotated[str, typer.Argument(help="User id.")],
    yes: Yes = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Then read every point of every collection, and prove that nothing is left."),
    ] = False,
) -> None:
    """Delete a user with all events, searches and other texts.

    Without --tenant, the user without a tenant is meant. Files, such as lists of refused rows, are not searched, and counts of
    items keep what the user contributed until they are rebuilt. Exit code 1: --verify has found something.

    Example: llmrec forget alice --yes --verify
    """
    user = external_id(user)
    confirm(f"delete {user!r} with all events and texts?", yes)
    with context.open() as rec:
        rec.status()  # refuses a space that does not exist
        known, texts = _held(rec, user, checked_tenant(context.tenant))
        count = rec.forget_user(user)
        traces = rec.traces_of(user) if verify else {}
        if context.tenant is None:
            _warn_of_namesakes(rec, user)
    left = sum(traces.values())
    if context.json:
        print_json({"events": count, **({"traces": traces} if verify else {})})
    elif known or count or texts:
        say(f"{user} deleted, with {counted_as(count, 'event')} and {counted_as(texts, 'text')}")
    else:
        say("no such user: nothing deleted")
    if verify and not context.json:
        _say_traces(user, traces)
    if left:
        raise typer.Exit(1)


def _warn_of_namesakes(rec: Recommender, user: str) -> None:
    """Name the tenants that have a user of this id, who is somebody else."""
    theirs = where(equals(Key.USER_ID, user))
    hits = rec.client.facet(Space(rec.space).users, Key.TENANT, theirs, limit=MAX_NAMESAKES).hits
    tenants = sorted(str(hit.value) for hit in hits if hit.value)
    if tenants:
        named = f"tenant {tenants[0]!r}" if len(tenants) == 1 else f"tenants {', '.join(map(repr, tenants))}"
        warn(f"{user!r} of {named} is another user, and stays: to forget them, repeat the command with --tenant")


def _say_traces(user: str, traces: Mapping[str, int]) -> None:
    for name, number in traces.items():
        say(f"{name}: {counted_as(number, 'point')} of {user}", "red" if number else "")
    left = sum(traces.values())
    looked = f"looked through {counted_as(len(traces), 'collection')}"
    say(
        f"{looked}: {counted_as(left, 'point')} of {user} left; repeat the command"
        if left
        else f"{looked}: no point of {user} is left"
    )


def _held(rec: Recommender, user: str, tenant: str | None) -> tuple[bool, int]:
    """Return whether the live version stores the user, and how many texts: there may be weights of topics or searches, and no events."""
    space = Space(rec.space)
    theirs = where(equals(Key.USER_ID, user), equals(Key.TENANT, tenant or ""))
    stored = rec.client.retrieve(space.users, [point_id("user", user, tenant)], with_payload=False)
    return bool(stored), rec.client.count(space.texts, theirs, exact=True).count
