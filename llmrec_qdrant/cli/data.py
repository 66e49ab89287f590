"""The commands that list users and delete data: ``users``, ``delete`` and ``forget``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from llmrec_qdrant.cli.app import Connected, app
from llmrec_qdrant.cli.options import Yes, confirm
from llmrec_qdrant.cli.printing import counted_as, print_json, say, warn
from llmrec_qdrant.contracts.checks import external_id
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
    print_json({"deleted": count}) if context.json else say(f"{count:,} deleted")


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

    Lists of refused rows and other files are not searched. Without --tenant, the user without a tenant is meant. Exit code 1:
    --verify has found something.

    Example: llmrec forget alice --yes --verify
    """
    confirm(f"delete {user!r} with all events and texts?", yes)
    with context.open() as rec:
        rec.status()  # refuses a space that does not exist
        known = _is_known(rec, user, context.tenant)
        count = rec.forget_user(user)
        traces = rec.traces_of(user) if verify else {}
        if context.tenant is None:
            _warn_of_namesakes(rec, user)
    left = sum(traces.values())
    if context.json:
        print_json({"events": count, **({"traces": traces} if verify else {})})
    elif known or count:
        say(f"{user} deleted, with {counted_as(count, 'event')}")
    else:
        say("no such user: nothing deleted")
    if verify and not context.json:
        _say_traces(user, traces)
    if left:
        raise typer.Exit(1)


def _warn_of_namesakes(rec: Recommender, user: str) -> None:
    """Name the tenants that have a user of this id, who is somebody else."""
    theirs = where(equals(Key.USER_ID, external_id(user)))
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
        else f"{looked}: nothing of {user} is left"
    )


def _is_known(rec: Recommender, user: str, tenant: str | None) -> bool:
    """Whether the live version stores the user, who may have weights of topics but no events."""
    users = Space(rec.space).users
    return bool(rec.client.retrieve(users, [point_id("user", user, tenant)], with_payload=False))
