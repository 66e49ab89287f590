"""The commands that move a space to another Qdrant: ``push``, ``pull``."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from llmrec_qdrant.cli.app import Connected, app
from llmrec_qdrant.cli.options import Yes, confirm
from llmrec_qdrant.cli.printing import counted_as, out, print_json, say, table_of
from llmrec_qdrant.cli.progress import bar
from llmrec_qdrant.contracts.answers import Moved
from llmrec_qdrant.queues.base import mask_url
from llmrec_qdrant.settings import Settings


class Which(StrEnum):
    """Which versions are copied."""

    LIVE = "live"
    ALL = "all"


Url = Annotated[
    str, typer.Argument(metavar="URL", help="The other Qdrant server, such as https://qdrant.example:6333.")
]
There = Annotated[
    str | None, typer.Option("--as", help="Name of the space on the other server, if it has another there.")
]
WhichVersions = Annotated[Which, typer.Option(help="The live version, or also those that rollback can switch to.")]
Replace = Annotated[
    bool,
    typer.Option(
        "--replace", help="If the target holds the space, make it equal to the source; it is hidden meanwhile."
    ),
]
OtherKey = Annotated[
    str | None,
    typer.Option(
        help="API key of the other server, between two servers; prefer setting LLMREC_OTHER_API_KEY. With --path, --api-key serves."
    ),
]


@app.command(rich_help_panel="Space and data")
def push(
    context: Connected, other: Url, there: There = None, versions: WhichVersions = Which.LIVE, replace: Replace = False,
    other_api_key: OtherKey = None, yes: Yes = False,
) -> None:  # fmt: skip
    """Copy this space to another Qdrant server: from a laptop to production. The application then uses the other address.

    Items, users, events, topics, texts, jobs and settings arrive unchanged. The copy becomes visible at the end, after every
    point has been compared with its source. After an interruption, run the same command again: it goes on where it stopped.
    If the space was written to meanwhile, the copy stays hidden; stop the writers and run the command again, which copies the
    difference.

    Example: llmrec push https://qdrant.example:6333 --path ./recdata --space shop --api-key KEY
    """
    with context.open() as rec:
        question = f"replace what {mask_url(other)} holds of space {there or context.space!r}?"
        confirm(question, yes or not replace, "nothing replaced")
        move = partial(rec.push, other, api_key=_key(context, other_api_key), space=there)
        _run(context, f"to {mask_url(other)}", partial(move, versions=versions.value, replace=replace))


@app.command(rich_help_panel="Space and data")
def pull(
    context: Connected, other: Url, there: There = None, versions: WhichVersions = Which.LIVE, replace: Replace = False,
    other_api_key: OtherKey = None, yes: Yes = False,
) -> None:  # fmt: skip
    """Copy a space of another Qdrant server to this one, such as production to a laptop. The opposite of llmrec push.

    Example: llmrec pull https://qdrant.example:6333 --path ./copy --space shop --api-key KEY
    """
    with context.open(create=True) as rec:
        confirm(f"replace space {context.space!r} in {context.where}?", yes or not replace, "nothing replaced")
        move = partial(rec.pull, other, api_key=_key(context, other_api_key), space=there)
        _run(context, f"from {mask_url(other)}", partial(move, versions=versions.value, replace=replace))


def _key(context: Connected, typed: str | None) -> str | None:
    """The API key of the other server: a folder needs none, so with one there is only one key."""
    own = Settings().other_api_key
    if typed or own:
        return typed or (own.get_secret_value() if own else None)
    return context.api_key if context.embedded else None


def _run(context: Connected, direction: str, move: Callable[..., Moved]) -> None:
    began = time.monotonic()
    with bar(f"{context.space} {direction}", None, quiet=context.json) as update:
        moved = move(on_progress=lambda stage, done, total: update(done, total, stage))
    seconds = time.monotonic() - began
    if context.json:
        print_json({**moved.model_dump(mode="json"), "seconds": round(seconds, 1)})
    else:
        _report(moved, direction, seconds)


def _report(moved: Moved, direction: str, seconds: float) -> None:
    table = table_of(f"space {moved.space}", ("collection", "points, all equal"), right={"points, all equal"})
    for name, count in moved.points.items():
        table.add_row(name, f"{count:,}")
    out.print(table)
    total = sum(moved.points.values())
    versions = (
        f"version {moved.live}" if len(moved.versions) == 1 else f"{len(moved.versions)} versions, {moved.live} is live"
    )
    say(
        f"{counted_as(total, 'point')} {direction} in {seconds:.1f} s ({versions}); all were compared and are equal",
        "bold",
    )
    if moved.written < total or moved.removed:
        say(f"{moved.written:,} were new or differed, {moved.removed:,} were removed; the others were there already")
