"""The commands that load data: ``load items`` and ``load events``."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import CommandSet, Connected, ConnectedGroup, app
from llmrec_qdrant.cli.catching_up import catch_up, pending
from llmrec_qdrant.cli.options import Wait
from llmrec_qdrant.cli.previewing import preview
from llmrec_qdrant.cli.printing import counted_as, print_json, print_status, say, warn
from llmrec_qdrant.cli.progress import bar
from llmrec_qdrant.contracts.answers import SpaceStatus
from llmrec_qdrant.contracts.times import Ways
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.checkpoint import Checkpoint
from llmrec_qdrant.load.columns import LoadKind
from llmrec_qdrant.load.layouts import LAYOUTS
from llmrec_qdrant.load.loader import How, load
from llmrec_qdrant.load.recipe import Recipe
from llmrec_qdrant.load.rejects import listed
from llmrec_qdrant.load.report import Loaded
from llmrec_qdrant.load.sources import Row, Source
from llmrec_qdrant.load.times import Clock, zone_named
from llmrec_qdrant.recommender import Recommender
from llmrec_qdrant.recommender.jobs import work_ahead

PARTLY_REFUSED = 3
"""Exit code of a load that refused some rows."""

loads = CommandSet(
    cls=ConnectedGroup, no_args_is_help=True, help="""Load items or events from a file, standard input or a database.

    Files are CSV (any delimiter), JSON lines, JSON or Parquet, also compressed. Delimiter, encoding, times and compression are
    recognised from the content; what was assumed is printed, and an option overrides it.

    See what would be stored, without storing it: llmrec load events ratings.csv --dry-run

    Columns with other names: llmrec load events ratings.csv --map userId=user --map movieId=item --map rating=value
    --map timestamp=ts --set type=rating

    A known data set: llmrec load items movies.csv --format movielens

    Lists and composed texts: llmrec load items films.csv --split "genres=|" --text "{plot} Directed by {director}"

    Excel in Europe or China: llmrec load items artikel.csv --delimiter ";" --encoding cp1252 --time-format dmy

    Refused rows: mend the "input" of the lines in FILE.rejects.jsonl, and load that file with the same options.
    """,
)  # fmt: skip
app.add_typer(loads, name="load", rich_help_panel="Space and data")


class Format(StrEnum):
    """File formats, and data sets with a layout that is known."""

    JSONL = "jsonl"
    JSON = "json"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"
    MOVIELENS = "movielens"
    AMAZON = "amazon"
    YELP = "yelp"
    MIND = "mind"
    STEAM = "steam"


def _option(*names: str, help: str, panel: str = "Reading the file") -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, show_default=False)


_COLUMNS = "Columns and fields"

File = Annotated[
    str, typer.Argument(metavar="FILE", help="A file, - for standard input, or a database URL with --query.")
]
Query = Annotated[str | None, _option(help="SELECT whose columns have the names of the fields.")]
FileFormat = Annotated[
    Format | None, _option("--format", help="Format of the file, or the data set whose layout it has.")
]
Delimiter = Annotated[
    str | None, _option("--delimiter", help="What separates the cells of a table, such as ';' or tab.")
]
Encoding = Annotated[str | None, _option("--encoding", help="Encoding of the file, such as cp1252, gb18030 or utf-16.")]
Columns = Annotated[
    str | None, _option("--columns", help="Names of the columns, a,b,c, of a table without a header line.")
]
TimeFormat = Annotated[
    str | None,
    _option(
        "--time-format",
        help="How times are written: dmy, mdy, excel, s, ms, us, ns, or a pattern such as '%d.%m.%Y %H:%M'.",
    ),
]
TimeZone = Annotated[
    str, _option("--time-zone", help="Zone of times that name none, such as Asia/Shanghai [default: UTC].")
]
KeepHtml = Annotated[bool, _option("--keep-html", help="Keep tags and entities in titles and texts.")]
Map = Annotated[
    list[str] | None,
    _option("--map", help="Rename a column with old=new, or drop it with old= (repeatable).", panel=_COLUMNS),
]
Set = Annotated[
    list[str] | None,
    _option("--set", help="Value of a field where a row has none: type=rating (repeatable).", panel=_COLUMNS),
]
Split = Annotated[
    list[str] | None, _option("--split", help="Split a column into a list: 'genres=|' (repeatable).", panel=_COLUMNS)
]
Text = Annotated[
    str | None,
    _option(
        "--text", help="Compose the text of columns: '{title}. {director}'; missing parts fall out.", panel=_COLUMNS
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show the first rows as they would be stored, and store nothing.")
]
RejectsFile = Annotated[
    Path | None,
    typer.Option("--rejects", help="File for the refused rows and the reasons [default: FILE.rejects.jsonl]."),
]
Restart = Annotated[bool, typer.Option("--restart", help="Load from the beginning instead of resuming.")]


def _loading(kind: LoadKind) -> Callable[..., None]:
    """Return the command that loads items or events."""

    def command(
        context: Connected, file: File, query: Query = None, format: FileFormat = None, delimiter: Delimiter = None,
        encoding: Encoding = None, columns: Columns = None, time_format: TimeFormat = None, time_zone: TimeZone = "UTC",
        keep_html: KeepHtml = False, map: Map = None, set: Set = None, split: Split = None, text: Text = None,
        dry_run: DryRun = False, rejects: RejectsFile = None, restart: Restart = False, wait: Wait = True,
    ) -> None:  # fmt: skip
        data_set = format.value if format and format.value in LAYOUTS else ""
        names = tuple(name.strip() for name in (columns or "").split(",") if name.strip())
        source = Source(
            file, None if data_set or format is None else format.value, query, _delimiter(delimiter), encoding, names
        )
        recipe = Recipe(
            _pairs("--map", map), _pairs("--set", set), _pairs("--split", split), text or "", drop_others=False
        )
        how = How(recipe, data_set, Clock(time_format or "", Ways(zone_named(time_zone))), keep_html)
        if dry_run:
            preview(context, source, kind, how)
        else:
            _load(context, kind, source, how, rejects, restart, wait)

    return command


ITEMS_HELP = """Load items. Fields: id, title, text, payload, tenant; every other column goes into the payload.

After an interruption, run the same command again: it resumes. Unchanged items are left alone.

Example: llmrec load items films.jsonl

Example: llmrec load items movies.csv --format movielens

Example: llmrec load items films.csv --map movieId=id --split "genres=|" --text "{title}. {director}"

Example: llmrec load items postgresql://user@host/db --query "SELECT id, title, plot AS text FROM films"
"""

EVENTS_HELP = """Load what users did. Fields: user, type, item and/or text, value, ts, session, id.

ts is ISO 8601, Unix time (seconds to nanoseconds), or a date as people write it; --time-format names others. An event without
ts is dated by its line, so that loading a file twice changes nothing.

Example: llmrec load events clicks.jsonl

Example: llmrec load events ratings.csv --format movielens

Example: llmrec load events ratings.csv --map userId=user --map movieId=item --map rating=value --map timestamp=ts
--set type=rating

Example: zcat clicks.gz | llmrec load events -
"""

loads.command("items", help=ITEMS_HELP)(_loading("items"))
loads.command("events", help=EVENTS_HELP)(_loading("events"))


def _pairs(option: str, texts: list[str] | None) -> dict[str, str]:
    forms = {"--map": "old=new", "--set": "field=value", "--split": "column=separator"}
    pairs = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not name or not equals or (option != "--map" and not value):
            raise InvalidInput(f"{option} must have the form {forms[option]}, not {text!r}")
        pairs[name] = value
    return pairs


def _delimiter(text: str | None) -> str | None:
    """Read a delimiter, which a shell makes hard to type if it is a tab."""
    if text is None:
        return None
    known = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
    delimiter = known.get(text, text)
    if not delimiter or any(character in '\r\n"' for character in delimiter):
        raise InvalidInput(f"--delimiter {text!r} cannot separate cells: name one such as ';', '|' or tab")
    return delimiter


def _load(
    context: Connected, kind: LoadKind, source: Source, how: How, rejects: Path | None, restart: bool, wait: bool
) -> None:  # fmt: skip
    source.kind()  # refuse before connecting
    rejects = rejects or Path(f"{source.path or kind}.rejects.jsonl")
    began = time.monotonic()
    with context.open() as rec, ExitStack() as working:
        checkpoint = Checkpoint.of(
            source, kind, rec.space, folder=rejects.parent, qdrant=context.where,
            tenant=context.tenant, how=repr(how), read=repr(source),
        )  # fmt: skip
        if checkpoint and restart:
            checkpoint.remove()
        if checkpoint and (done := checkpoint.read().row):
            warn(f"resuming after line {done:,}")
        working.enter_context(work_ahead(rec))
        loaded = _load_rows(rec, kind, source, how, rejects, checkpoint, quiet=context.json)
        counted = catch_up(rec, wait=wait, quiet=context.json, finish=working.close)
    if context.json:
        print_json({"load": loaded.as_json(), "status": counted.model_dump(mode="json")})
    else:
        _report(kind, source, loaded, counted)
        say(f"took {time.monotonic() - began:.1f} s in all{', with encoding and refreshing' * (not pending(counted))}")
    if loaded.rejected:
        raise typer.Exit(PARTLY_REFUSED)


def _load_rows(
    rec: Recommender, kind: LoadKind, source: Source, how: How, rejects: Path,
    checkpoint: Checkpoint | None, quiet: bool,
) -> Loaded:  # fmt: skip
    in_bytes = source.counts_bytes
    with bar(f"loading {kind}", source.size if in_bytes else None, quiet=quiet, in_bytes=in_bytes) as update:

        def progress(row: Row) -> None:
            update(row.at if in_bytes else row.number, None)

        return load(rec, source, kind, how=how, rejects=rejects, checkpoint=checkpoint, progress=progress, notice=warn)


def _report(kind: LoadKind, source: Source, loaded: Loaded, counted: SpaceStatus) -> None:
    parts = [f"{loaded.written:,} written"]
    parts += [f"{getattr(loaded, name):,} {name}" for name in ("unchanged", "duplicates") if getattr(loaded, name)]
    say(f"{kind} from {source.name}: {', '.join(parts)}, in {loaded.seconds:.1f} s", "bold")
    for sentence in remarks(loaded):
        say(sentence, "yellow")
    if loaded.rejected:
        rows = "row was" if loaded.rejected == 1 else "rows were"
        say(f"{loaded.rejected:,} {rows} refused: see {loaded.rejects}", "yellow")
        for sentence in listed(loaded.reasons):
            say(f"  {sentence}", "yellow")
    print_status(counted)


def remarks(loaded: Loaded) -> list[str]:
    """Return what a reader of the result should know, in sentences."""
    said = []
    if loaded.textless:
        have = "item has" if loaded.textless == 1 else "items have"
        said.append(f"{loaded.textless:,} {have} neither title nor text: only behaviour can recommend them")
    if loaded.decoded:
        said.append(f"HTML was decoded in {counted_as(loaded.decoded, 'title')} or texts (--keep-html keeps it)")
    if loaded.undated:
        have = "event has" if loaded.undated == 1 else "events have"
        said.append(
            f"{loaded.undated:,} {have} no time: dated by line from 2000-01-01, so old and in the order of the file "
            "(--set ts=2024-05-01 dates them otherwise)"
        )
    return said
