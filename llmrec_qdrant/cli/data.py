"""TODO: llmrec_qdrant.cli.data."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import Target, Wait, app, connected
from llmrec_qdrant.cli.printing import err, print_json, print_status, say
from llmrec_qdrant.cli.progress import bar
from llmrec_qdrant.cli.spaces import _caught_up
from llmrec_qdrant.contracts.answers import SpaceStatus
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.checkpoint import Checkpoint
from llmrec_qdrant.load.loader import Loaded, as_json, load
from llmrec_qdrant.load.sources import Row, Source

loads = typer.Typer(no_args_is_help=True, help="Load items or events from a file, standard input or a database.")
app.add_typer(loads, name="load")


class Format(StrEnum):
    """Formats of a file."""

    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"


SourceArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="A file, - for standard input, or a database URL with --query.")
]


Query = Annotated[str | None, typer.Option(help="SELECT whose columns have the names of the fields.")]


FormatOption = Annotated[Format | None, typer.Option("--format", help="If the name of the file does not tell.")]


Map = Annotated[list[str] | None, typer.Option("--map", help="Rename a column: old=new; drop it: old= (repeatable).")]


Rejects = Annotated[Path | None, typer.Option(help="Where refused rows go; FILE.rejects.jsonl if not named.")]


Restart = Annotated[bool, typer.Option("--restart", help="Begin anew instead of where it stopped.")]


@loads.command("items")
@connected
def load_items(
    target: Target, file: SourceArgument, query: Query = None, format: FormatOption = None, map: Map = None,
    rejects: Rejects = None, restart: Restart = False, wait: Wait = True,
) -> None:  # fmt: skip
    """Load items: id, title, text, payload, tenant; any other column becomes a field of the payload.

    Examples: llmrec load items films.jsonl
    llmrec load items films.csv --map movieId=id
    llmrec load items postgresql://user@host/db --query "SELECT id, title, plot AS text FROM films"
    """
    _load(target, "items", Source(file, format.value if format else None, query), map, rejects, restart, wait)


@loads.command("events")
@connected
def load_events(
    target: Target, file: SourceArgument, query: Query = None, format: FormatOption = None, map: Map = None,
    rejects: Rejects = None, restart: Restart = False, wait: Wait = True,
) -> None:  # fmt: skip
    """Load events: user, type, item and/or text, value, ts, session, id.

    Examples: llmrec load events clicks.jsonl
    zcat clicks.gz | llmrec load events -
    """
    _load(target, "events", Source(file, format.value if format else None, query), map, rejects, restart, wait)


def _load(
    target: Target, kind: Any, source: Source, map: list[str] | None, rejects: Path | None, restart: bool, wait: bool
) -> None:
    source.kind()  # refuse before connecting
    rename = dict(_renaming(one) for one in map or [])
    if rejects is None:
        rejects = (
            source.path.with_name(source.path.name + ".rejects.jsonl") if source.path else Path(f"{kind}.rejects.jsonl")
        )
    with target.open() as rec:
        checkpoint = Checkpoint.of(
            source, kind, rec.space, folder=rejects.parent, qdrant=target.where,
            tenant=target.connection["tenant"], map=rename, format=source.kind(),
        )  # fmt: skip
        if checkpoint and restart:
            checkpoint.remove()
        if checkpoint and (done := checkpoint.read().row):
            err.print(f"going on after line {done:,}", markup=False)
        with bar(
            f"loading {kind}",
            source.size if source.tells_bytes else None,
            quiet=target.json,
            in_bytes=source.tells_bytes,
        ) as update:

            def progress(row: Row) -> None:
                update(row.at if source.tells_bytes else row.number, None)

            def notice(text: str) -> None:
                err.print(text, style="yellow", markup=False, soft_wrap=True)

            rec.config  # noqa: B018 -- a missing space is an error before the first row is read
            result = load(
                rec, source, kind, rename=rename, rejects=rejects, checkpoint=checkpoint,
                progress=progress, notice=notice,
            )  # fmt: skip
        found = _caught_up(rec, target, wait)
    _report(target, kind, source, result, found)


def _renaming(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not old or not equals:
        raise InvalidInput(f"--map is written old=new, not {text!r}")
    return old, new


def _report(target: Target, kind: str, source: Source, result: Loaded, found: SpaceStatus) -> None:
    if target.json:
        print_json({"load": as_json(result), "status": found.model_dump(mode="json")})
    else:
        parts = [f"{result.written:,} written"]
        parts += [f"{getattr(result, name):,} {name}" for name in ("unchanged", "duplicates") if getattr(result, name)]
        say(f"{kind} from {source.name}: {', '.join(parts)}, in {result.seconds:.1f} s", "bold")
        if result.textless:
            say(f"{result.textless:,} have no text: only behaviour can recommend them", "yellow")
        if result.rejected:
            say(
                f"{result.rejected:,} row{' was' if result.rejected == 1 else 's were'} refused; see {result.rejects}",
                "yellow",
            )
        print_status(found)
    if result.rejected:
        raise typer.Exit(3)


@app.command()
@connected
def delete(target: Target, items: Annotated[list[str], typer.Argument(help="Item ids.")]) -> None:
    """Delete items.

    Example: llmrec delete tt0816692 tt0111161
    """
    with target.open() as rec:
        gone = rec.delete_items(items)
    print_json({"deleted": gone}) if target.json else say(f"{gone} deleted")


@app.command()
@connected
def forget(
    target: Target, user: str, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Delete a user with all events and texts.

    Example: llmrec forget alice --yes
    """
    if not yes and not typer.confirm(f"delete {user!r} with all events?", default=False, err=True):
        raise typer.Exit(1)
    with target.open() as rec:
        gone = rec.forget_user(user)
    print_json({"events": gone}) if target.json else say(f"{user} is forgotten: {gone} events deleted")
