"""The commands that load and delete data: ``load items``, ``load events``, ``delete``, ``forget``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from llmrec_qdrant.cli.app import CommandSet, Connected, ConnectedGroup, app
from llmrec_qdrant.cli.catching_up import catch_up
from llmrec_qdrant.cli.options import Wait
from llmrec_qdrant.cli.printing import counted_as, print_json, print_status, say, warn
from llmrec_qdrant.cli.progress import bar
from llmrec_qdrant.contracts.answers import SpaceStatus
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.checkpoint import Checkpoint
from llmrec_qdrant.load.columns import LoadKind
from llmrec_qdrant.load.loader import load
from llmrec_qdrant.load.report import Loaded
from llmrec_qdrant.load.sources import Row, Source
from llmrec_qdrant.recommender import Recommender
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Space

PARTLY_REFUSED = 3
"""Exit code of a load that refused some rows."""

loads = CommandSet(
    cls=ConnectedGroup, no_args_is_help=True, help="Load items or events from a file, standard input or a database."
)
app.add_typer(loads, name="load", rich_help_panel="Space and data")


class Format(StrEnum):
    """File formats."""

    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"


File = Annotated[
    str, typer.Argument(metavar="FILE", help="A file, - for standard input, or a database URL with --query.")
]
Query = Annotated[str | None, typer.Option(help="SELECT whose columns have the names of the fields.")]
FileFormat = Annotated[
    Format | None, typer.Option("--format", help="Format of the file; needed if its name does not show it.")
]
Map = Annotated[
    list[str] | None, typer.Option("--map", help="Rename a column with old=new, or drop it with old= (repeatable).")
]
RejectsFile = Annotated[
    Path | None,
    typer.Option("--rejects", help="File for the refused rows and the reasons [default: FILE.rejects.jsonl]."),
]
Restart = Annotated[bool, typer.Option("--restart", help="Load from the beginning instead of resuming.")]


@loads.command("items")
def load_items(
    context: Connected,
    file: File,
    query: Query = None,
    format: FileFormat = None,
    map: Map = None,
    rejects: RejectsFile = None,
    restart: Restart = False,
    wait: Wait = True,
) -> None:
    """Load items. Fields: id, title, text, payload, tenant; every other column goes into the payload.

    After an interruption, run the same command again: it resumes. Unchanged items are left alone.

    Example: llmrec load items films.jsonl

    Example: llmrec load items films.csv --map movieId=id

    Example: llmrec load items postgresql://user@host/db --query "SELECT id, title, plot AS text FROM films"
    """
    source = Source(file, format.value if format else None, query)
    _load(context, "items", source, _renames(map), rejects, restart, wait)


@loads.command("events")
def load_events(
    context: Connected,
    file: File,
    query: Query = None,
    format: FileFormat = None,
    map: Map = None,
    rejects: RejectsFile = None,
    restart: Restart = False,
    wait: Wait = True,
) -> None:
    """Load what users did. Fields: user, type, item and/or text, value, ts, session, id.

    ts is a time in ISO 8601 or Unix seconds; the default is now. An event that is loaded twice counts once if it has an id
    or a ts.

    Example: llmrec load events clicks.jsonl

    Example: zcat clicks.gz | llmrec load events -
    """
    source = Source(file, format.value if format else None, query)
    _load(context, "events", source, _renames(map), rejects, restart, wait)


def _renames(texts: list[str] | None) -> dict[str, str]:
    renames = {}
    for text in texts or []:
        old, equals, new = text.partition("=")
        if not old or not equals:
            raise InvalidInput(f"--map must have the form old=new, not {text!r}")
        renames[old] = new
    return renames


def _load(
    context: Connected, kind: LoadKind, source: Source, rename: dict[str, str], rejects: Path | None, restart: bool, wait: bool
) -> None:  # fmt: skip
    source.kind()  # refuse before connecting
    rejects = rejects or Path(f"{source.path or kind}.rejects.jsonl")
    with context.open() as rec:
        checkpoint = Checkpoint.of(
            source, kind, rec.space, folder=rejects.parent, qdrant=context.where,
            tenant=context.tenant, map=rename, format=source.kind(),
        )  # fmt: skip
        if checkpoint and restart:
            checkpoint.remove()
        if checkpoint and (done := checkpoint.read().row):
            warn(f"resuming after line {done:,}")
        loaded = _load_rows(rec, kind, source, rename, rejects, checkpoint, quiet=context.json)
        counted = catch_up(rec, wait=wait, quiet=context.json)
    if context.json:
        print_json({"load": loaded.as_json(), "status": counted.model_dump(mode="json")})
    else:
        _report(kind, source, loaded, counted)
    if loaded.rejected:
        raise typer.Exit(PARTLY_REFUSED)


def _load_rows(
    rec: Recommender, kind: LoadKind, source: Source, rename: dict[str, str], rejects: Path,
    checkpoint: Checkpoint | None, quiet: bool,
) -> Loaded:  # fmt: skip
    in_bytes = source.counts_bytes
    with bar(f"loading {kind}", source.size if in_bytes else None, quiet=quiet, in_bytes=in_bytes) as update:

        def progress(row: Row) -> None:
            update(row.at if in_bytes else row.number, None)

        return load(
            rec, source, kind, rename=rename, rejects=rejects, checkpoint=checkpoint, progress=progress, notice=warn
        )


def _report(kind: LoadKind, source: Source, loaded: Loaded, counted: SpaceStatus) -> None:
    parts = [f"{loaded.written:,} written"]
    parts += [f"{getattr(loaded, name):,} {name}" for name in ("unchanged", "duplicates") if getattr(loaded, name)]
    say(f"{kind} from {source.name}: {', '.join(parts)}, in {loaded.seconds:.1f} s", "bold")
    if loaded.textless:
        say(f"{loaded.textless:,} items have no text: only behaviour can recommend them", "yellow")
    if loaded.rejected:
        rows = "row was" if loaded.rejected == 1 else "rows were"
        say(f"{loaded.rejected:,} {rows} refused: see {loaded.rejects}", "yellow")
    print_status(counted)


@app.command(rich_help_panel="Space and data")
def delete(context: Connected, items: Annotated[list[str], typer.Argument(help="Item ids.")]) -> None:
    """Delete items. Events about them stay, so an item that is loaded again keeps its history.

    Example: llmrec delete tt0816692 tt0111161
    """
    with context.open() as rec:
        count = rec.delete_items(items)
    print_json({"deleted": count}) if context.json else say(f"{count:,} deleted")


@app.command(rich_help_panel="Space and data")
def forget(
    context: Connected,
    user: Annotated[str, typer.Argument(help="User id.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete a user with all events and texts.

    Example: llmrec forget alice --yes
    """
    if not yes and not typer.confirm(f"delete {user!r} with all events and texts?", default=False, err=True):
        warn("nothing deleted")
        raise typer.Exit(1)
    with context.open() as rec:
        rec.status()  # refuses a space that does not exist
        known = _is_known(rec, user, context.tenant)
        count = rec.forget_user(user)
    if context.json:
        print_json({"events": count})
    elif known or count:
        say(f"{user} deleted, with {counted_as(count, 'event')}")
    else:
        say("no such user: nothing deleted")


def _is_known(rec: Recommender, user: str, tenant: str | None) -> bool:
    """Whether the live version stores the user, who may have weights of topics but no events."""
    users = Space(rec.space).users
    return bool(rec.client.retrieve(users, [point_id("user", user, tenant)], with_payload=False))
