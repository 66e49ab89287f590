"""The commands of ``llmrec``."""

from __future__ import annotations

import functools
import inspect
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from llmrec_qdrant.contracts import LEGS, Leg, Migration, Seen, SpaceConfig, SpaceStatus
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.jobs import inline_available, mask_url, worker_module
from llmrec_qdrant.layout import Key
from llmrec_qdrant.loading import Checkpoint, Loaded, as_json, load
from llmrec_qdrant.printing import (
    bar,
    err,
    out,
    print_items,
    print_json,
    print_status,
    print_users,
    say,
)
from llmrec_qdrant.recommender import Job, Recommender
from llmrec_qdrant.reembed import live_with
from llmrec_qdrant.settings import Settings
from llmrec_qdrant.sources import Row, Source
from llmrec_qdrant.watching import watched

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Turn a Qdrant into a recommender that knows each user's interests.\n\n"
    "Start with [bold]llmrec demo[/bold]. With your own data: [bold]llmrec init[/bold], "
    "[bold]llmrec load items F[/bold], [bold]llmrec load events F[/bold], [bold]llmrec recommend USER[/bold].\n\n"
    "Every option of the connection can also be set as LLMREC_QDRANT_URL, LLMREC_PATH, LLMREC_SPACE, LLMREC_BROKER, "
    "LLMREC_API_KEY, LLMREC_TENANT.\n\n"
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but some input was refused, 130 interrupted.",
)
loads = typer.Typer(no_args_is_help=True, help="Load items or events from a file, standard input or a database.")
app.add_typer(loads, name="load")

POLL_SECONDS = 0.5
"""Seconds between two looks at what the workers have done."""
QUIET_SECONDS = 60.0
"""Seconds without any progress after which nobody seems to work."""


@dataclass
class Target:
    """What a command talks to, and how it answers."""

    connection: dict[str, Any]
    json: bool

    def open(self, make: bool = False) -> Recommender:
        """Connect; only ``make`` makes the folder of an embedded Qdrant."""
        if self.connection["url"] is None and self.connection["path"] is None:
            raise InvalidInput(
                "no Qdrant is named: pass --url http://localhost:6333 (or set LLMREC_QDRANT_URL), "
                "or --path ./data for an embedded one"
            )
        path = self.connection["path"]
        if path and path != ":memory:" and not make and not Path(path).is_dir():
            raise InvalidInput(
                f"there is no folder {path!r}: check the path, or make it with `llmrec init --path {path}`"
            )
        return Recommender.connect(**self.connection)

    @property
    def where(self) -> str:
        """The Qdrant, without secrets."""
        url = self.connection["url"]
        return mask_url(url) if url else str(Path(self.connection["path"]).resolve())


CONNECTION: dict[str, Any] = {
    "url": Annotated[str | None, typer.Option(help="Qdrant server, such as http://localhost:6333.")],
    "path": Annotated[str | None, typer.Option(help="Folder of an embedded Qdrant, instead of a server.")],
    "space": Annotated[str | None, typer.Option(help="Name of the space; 'main' if nothing names one.")],
    "broker": Annotated[str | None, typer.Option(help="Redis for Celery; without it work runs in this process.")],
    "api_key": Annotated[str | None, typer.Option(help="Qdrant API key (better: LLMREC_API_KEY).")],
    "tenant": Annotated[str | None, typer.Option(help="Tenant to be bound to.")],
    "json": Annotated[bool, typer.Option("--json", help="One JSON document instead of tables.")],
    "debug": Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")],
}
"""Options that every command has."""


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the connection; it receives them as its first argument."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    options = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=False if name in {"json", "debug"} else None, annotation=kind
        )
        for name, kind in CONNECTION.items()
    ]

    @functools.wraps(command)
    def wrapper(**given: Any) -> None:
        taken = {name: given.pop(name) for name in CONNECTION}
        taken.pop("debug")  # read by main, which shows errors
        command(_target(taken.pop("json"), taken), **given)

    own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    wrapper.__signature__ = inspect.Signature(own + options)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {one.name: one.annotation for one in own + options}
    return wrapper


def _target(as_json: bool, given: dict[str, Any]) -> Target:
    """Options before environment; a named server or folder replaces both of the environment's."""
    settings = Settings()
    named = Settings(space=given["space"] or settings.space or "main").connection()
    if given["url"] or given["path"]:
        named |= {"url": None, "path": None}
    return Target(named | {name: value for name, value in given.items() if value}, as_json)


Model = Annotated[str | None, typer.Option(help="sentence-transformers or BERT id, or a folder.")]
Size = Annotated[int | None, typer.Option(help="Numbers in a dense vector; read from the model if possible.")]
Pooling = Annotated[str | None, typer.Option(help="mean or cls.")]
Similarity = Annotated[str | None, typer.Option(help="cosine or pearson.")]
Limit = Annotated[int, typer.Option("--limit", "-n", help="How many.")]
Filter = Annotated[
    list[str] | None,
    typer.Option("--filter", "-f", help="year>=2000, lang=zh, genre=a,b (repeatable), or a JSON object."),
]
Exclude = Annotated[list[str] | None, typer.Option("--exclude", help="Item id to leave out (repeatable).")]
Diversity = Annotated[float, typer.Option("--diversity", help="0 (none) to 1.")]
Weights = Annotated[str | None, typer.Option("--weights", help="Weight per leg: dense=1,tfidf=1,collab=2.")]
Explain = Annotated[bool, typer.Option("--explain", "-e", help="Score per leg, and why.")]


class Format(StrEnum):
    """Formats of a file."""

    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"


# --- the space -----------------------------------------------------------------------------------


@app.command()
@connected
def init(
    target: Target,
    model: Model = None,
    size: Size = None,
    pooling: Pooling = None,
    similarity: Similarity = None,
    field: Annotated[list[str] | None, typer.Option(help="Field to filter on, name:kind (repeatable).")] = None,
    config: Annotated[Path | None, typer.Option(help="JSON file with any settings of the space.")] = None,
) -> None:
    """Make a space, or add fields to one. Doing it twice changes nothing.

    Example: llmrec init --url http://localhost:6333 --space movies --field year:integer --field genres:keyword
    """
    with target.open(make=True) as rec:
        given = _config_file(config)
        options = {"model": model, "size": size, "pooling": pooling, "similarity": similarity}
        given |= {name: value for name, value in options.items() if value is not None}
        stored = _stored(rec)
        if model and size is None and "size" not in given:
            given["size"] = _size_of(given)
        fields = {**given.get("fields", {}), **dict(_field(one) for one in field or [])}
        base = stored.model_dump() if stored else {}
        made = rec.create({**base, **given, "fields": {**base.get("fields", {}), **fields}})
        status = rec.status()
    if target.json:
        print_json({"config": made.model_dump(mode="json"), "status": status.model_dump(mode="json")})
        return
    print_status(status)
    say(f"fields to filter on: {', '.join(f'{name} ({kind})' for name, kind in made.fields.items()) or 'none'}")
    out.print("next: [bold]llmrec load items FILE[/bold], then [bold]llmrec load events FILE[/bold]")


def _config_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"the configuration {str(path)!r} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInput(f"the configuration {str(path)!r} must be a JSON object")
    return found


def _stored(rec: Recommender) -> SpaceConfig | None:
    from llmrec_qdrant.errors import SpaceNotFound

    try:
        return rec.config
    except SpaceNotFound:
        return None


def _field(text: str) -> tuple[str, str]:
    name, _, kind = text.partition(":")
    if not name:
        raise InvalidInput(f"a field is written name:kind, such as year:integer, not {text!r}")
    return name, kind or "keyword"


def _size_of(given: dict[str, Any]) -> int:
    """The dimension of a model, by loading it where the workers are installed."""
    if not inline_available():
        raise InvalidInput(f"how many numbers a vector of {given['model']!r} has is not known here: pass --size")
    return int(worker_module("encoder").model_size(SpaceConfig.parse({**given, "size": 1})))


def _weights_of(rec: Recommender, model: str) -> dict[Leg, float] | None:
    """The leg weights that a trained model was chosen with, or, where one is left, those from before it; else None."""
    if not inline_available():
        return None
    find = worker_module("registry").find
    if trained := find(model):
        weights: dict[Leg, float] | None = trained[0].metrics.get("leg weights")
        return weights
    left = find(rec.config.model)
    brought = left and left[0].metrics.get("leg weights") == rec.config.weights
    return left[0].metrics.get("leg weights before") if left and brought else None


@app.command()
@connected
def status(target: Target) -> None:
    """Count what is stored and what waits for a worker, in Qdrant itself.

    Example: llmrec status --url http://localhost:6333 --space movies
    """
    with target.open() as rec:
        found = rec.status()
    print_json(found.model_dump(mode="json")) if target.json else print_status(found)


@app.command()
@connected
def reconcile(
    target: Target,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until nothing is stale.")] = True,
) -> None:
    """Find everything stale and have it done; needed after Redis or the workers were away.

    Example: llmrec reconcile --broker redis://localhost:6379/0
    """
    with target.open() as rec:
        found = _caught_up(rec, target, wait)
    print_json(found.model_dump(mode="json")) if target.json else print_status(found)


def _waiting(status: SpaceStatus) -> int:
    return status.items_stale + status.users_stale + status.texts_stale + status.events_unfolded


def _caught_up(rec: Recommender, target: Target, wait: bool) -> SpaceStatus:
    """Have everything stale done: here, with a bar, or by workers, waiting for them if asked to."""
    with bar("encoding and refreshing", None, quiet=target.json) as update, watched(rec, update):
        told = rec.reconcile()
    return _settled(rec, target, wait and told)


def _settled(rec: Recommender, target: Target, wait: bool) -> SpaceStatus:
    """Wait, with a bar, until workers have done everything, or until nothing moves any more."""
    found = rec.status()
    total = _waiting(found)
    moved = time.monotonic()
    with bar("encoding", total, quiet=target.json or not wait) as update:
        while wait and (left := _waiting(found)):
            time.sleep(POLL_SECONDS)
            previous, found = left, rec.status()
            total = max(total, _waiting(found))
            update(total - _waiting(found), total)
            if _waiting(found) != previous:
                moved = time.monotonic()
            elif time.monotonic() - moved > QUIET_SECONDS:
                err.print(
                    "nothing has moved for a minute: no worker seems to run. The work is stored; start one with "
                    "`celery -A workers.app worker -Q encode,refresh,batch`",
                    style="yellow", markup=False, soft_wrap=True,
                )  # fmt: skip
                break
    return found


# --- loading -------------------------------------------------------------------------------------

SourceArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="A file, - for standard input, or a database URL with --query.")
]
Query = Annotated[str | None, typer.Option(help="SELECT whose columns have the names of the fields.")]
FormatOption = Annotated[Format | None, typer.Option("--format", help="If the name of the file does not tell.")]
Map = Annotated[list[str] | None, typer.Option("--map", help="Rename a column: old=new; drop it: old= (repeatable).")]
Rejects = Annotated[Path | None, typer.Option(help="Where refused rows go; FILE.rejects.jsonl if not named.")]
Restart = Annotated[bool, typer.Option("--restart", help="Begin anew instead of where it stopped.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until workers have encoded everything.")]


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


# --- lists ---------------------------------------------------------------------------------------


@app.command()
@connected
def recommend(
    target: Target, user: str, limit: Limit = 10, filter: Filter = None, exclude: Exclude = None,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Also what the user has had.")] = False,
    include_last: Annotated[
        bool, typer.Option("--include-last", help="Also what the user had last, where people take things again.")
    ] = False,
    diversity: Diversity = 0.0, weights: Weights = None, explain: Explain = False,
    interests: Annotated[bool, typer.Option("--interests", help="Give each interest its share of the list.")] = False,
) -> None:  # fmt: skip
    """Recommend items to a user.

    Example: llmrec recommend alice --limit 5 --filter "year>=2000" --explain
    """
    seen: Seen = False if include_seen else "but_last" if include_last else True
    with target.open() as rec:
        listed = rec.recommend(
            user, limit, filter=_filter(filter, rec.config), exclude=exclude or [], exclude_seen=seen,
            diversity=diversity, weights=_weights(weights), explain=explain, interests="auto" if interests else None,
        )  # fmt: skip
    _show(target, listed, f"for {user}")


@app.command()
@connected
def top(
    target: Target, by: Annotated[str, typer.Option(help="A number or date among the fields of the space.")] = Key.POPULARITY,
    limit: Limit = 10, filter: Filter = None, exclude: Exclude = None,
) -> None:  # fmt: skip
    """Popular items, or the highest or latest by a field: something for everybody, also for who is new.

    Example: llmrec top --by year --filter lang=zh
    """
    with target.open() as rec:
        listed = rec.top(limit, by=by, filter=_filter(filter, rec.config), exclude=exclude or [])
    _show(target, listed, f"top by {by}", Key.POPULARITY)


@app.command()
@connected
def similar(
    target: Target, item: str, limit: Limit = 10, filter: Filter = None, exclude: Exclude = None,
    diversity: Diversity = 0.0, weights: Weights = None, explain: Explain = False,
) -> None:  # fmt: skip
    """Items like an item.

    Example: llmrec similar tt0816692 --filter lang=zh
    """
    with target.open() as rec:
        listed = rec.similar_items(
            item, limit, filter=_filter(filter, rec.config), exclude=exclude or [], diversity=diversity,
            weights=_weights(weights), explain=explain,
        )  # fmt: skip
    _show(target, listed, f"like {item}")


@app.command("similar-users")
@connected
def similar_users(target: Target, user: str, limit: Limit = 10) -> None:
    """Users like a user.

    Example: llmrec similar-users alice
    """
    with target.open() as rec:
        listed = rec.similar_users(user, limit)
    if target.json:
        print_json([one.model_dump(mode="json") for one in listed])
    else:
        print_users(listed, f"like {user}")


@app.command()
@connected
def search(
    target: Target, text: str, user: Annotated[str | None, typer.Option(help="Order for this user.")] = None,
    limit: Limit = 10, filter: Filter = None, exclude: Exclude = None, diversity: Diversity = 0.0,
    weights: Weights = None, explain: Explain = False,
) -> None:  # fmt: skip
    """Find items for a text, ordered for a user if one is named.

    Example: llmrec search "heist in a dream" --user alice
    """
    with target.open() as rec:
        listed = rec.search(
            text, user, limit, filter=_filter(filter, rec.config), exclude=exclude or [], diversity=diversity,
            weights=_weights(weights), explain=explain,
        )  # fmt: skip
    _show(target, listed, f"“{text}”")


@app.command()
@connected
def request(target: Target, user: str, limit: Limit = 10, filter: Filter = None, weights: Weights = None) -> None:
    """Print the exact body for POST /collections/SPACE_items/points/query, to send from any language.

    Example: llmrec request alice > body.json, then
    curl localhost:6333/collections/main_items/points/query --json @body.json
    """
    with target.open() as rec:
        print_json(rec.request(user, limit, filter=_filter(filter, rec.config), weights=_weights(weights)))


def _show(target: Target, listed: Any, title: str, counted: str = "score") -> None:
    if target.json:
        print_json([one.model_dump(mode="json") for one in listed])
    else:
        print_items(listed, title, counted)


def _weights(text: str | None) -> Any:
    if text is None:
        return None
    pairs = [one.partition("=") for one in text.split(",")]
    try:
        return {name.strip(): float(value) for name, _, value in pairs}
    except ValueError:
        raise InvalidInput(f"--weights is written leg=number,… with legs {', '.join(LEGS)}, not {text!r}") from None


def _filter(parts: list[str] | None, config: SpaceConfig) -> Any:
    if not parts:
        return None
    if len(parts) == 1 and parts[0].lstrip().startswith("{"):
        try:
            return json.loads(parts[0])
        except ValueError as error:
            raise InvalidInput(f"--filter is not JSON: {error}") from None
    found: dict[str, Any] = {}
    for part in parts:
        name, condition = _condition(part, config)
        found[name] = _both(found[name], condition) if name in found else condition
    return found


def _both(one: Any, two: Any) -> Any:
    """Bounds narrow each other; values widen each other."""
    if isinstance(one, dict) and isinstance(two, dict) and not (one.keys() | two.keys()) & {"not"}:
        return one | two
    if isinstance(one, dict) or isinstance(two, dict):
        raise InvalidInput(
            f"these two filters on one field cannot be combined: {one!r} and {two!r}; write JSON instead"
        )
    return [*(one if isinstance(one, list) else [one]), *(two if isinstance(two, list) else [two])]


_BOUNDS = {">=": "gte", "<=": "lte", ">": "gt", "<": "lt"}


def _condition(text: str, config: SpaceConfig) -> tuple[str, Any]:
    match = re.fullmatch(r"\s*([^<>=!]+?)\s*(>=|<=|!=|>|<|=)\s*(.*?)\s*", text)
    if not match:
        raise InvalidInput(f"a filter is written field=value, field>=number or a JSON object, not {text!r}")
    name, operator, value = match.groups()
    if operator in _BOUNDS:
        return name, {_BOUNDS[operator]: _value(value, "float" if _is_number(value) else "datetime")}
    kind = config.fields.get(name, "keyword")
    values = [_value(one, kind) for one in value.split(",")]
    plain = values if len(values) > 1 else values[0]
    return name, {"not": plain} if operator == "!=" else plain


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _value(text: str, kind: str) -> Any:
    try:
        if kind == "integer":
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError:
        raise InvalidInput(f"the filter needs a number where it has {text!r}") from None
    return text.lower() == "true" if kind == "bool" else text


# --- jobs and versions ---------------------------------------------------------------------------


@app.command()
@connected
def jobs(
    target: Target,
    failed: Annotated[bool, typer.Option("--failed", help="List what was set aside, and why.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Give what was set aside another chance.")] = False,
) -> None:
    """What is being done, counted in Qdrant; what failed; and another try for it.

    Example: llmrec jobs --failed
    """
    with target.open() as rec:
        again = rec.retry() if retry else 0
        found = rec.status()
        listed = rec.failures() if failed else []
    if target.json:
        print_json(
            {
                "status": found.model_dump(mode="json"),
                "retried": again,
                "failed": [one.model_dump(mode="json") for one in listed],
            }
        )
        return
    if retry:
        say(f"{again:,} get another chance")
    print_status(found)
    for one in listed:
        say(f"{one.kind} {one.id} (version {one.version}): {one.reason}")
    if failed and not listed:
        say("nothing was set aside")


@app.command()
@connected
def reembed(
    target: Target,
    model: Model = None,
    size: Size = None,
    pooling: Pooling = None,
    similarity: Similarity = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop a re-embedding and delete what it made.")] = False,
    clean_up: Annotated[bool, typer.Option("--clean-up", help="Delete old versions; no rollback afterwards.")] = False,
    wait: Wait = True,
) -> None:
    """Move the space to another model beside the live one, and switch when it is complete.

    A model of `llmrec train` brings the leg weights it was chosen with; rollback brings the old ones back.
    Interrupting stops the waiting, not the work; the same command again goes on watching.
    Example: llmrec reembed --model sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2
    """
    with target.open() as rec:
        if cancel or clean_up:
            gone: Any = rec.cancel_reembed() if cancel else rec.clean_up()
            print_json({"deleted": gone}) if target.json else say(f"deleted: {gone or 'nothing'}")
            return
        options = {"model": model, "size": size, "pooling": pooling, "similarity": similarity}
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        if model and size is None:
            given["size"] = _size_of(given)
        if given and (number := rec._drive(live_with(rec._bound(), given))):
            same = {"version": number, "model": rec.config.encoder_id, "state": "live"}
            print_json(same) if target.json else say(
                f"version {number} ({same['model']}) is live already: nothing to do"
            )
            return
        if model and (weights := _weights_of(rec, model)):
            given["weights"] = weights
        job = rec.reembed(**given)
        found = _watch(job, target) if wait else job.progress()
    if target.json:
        print_json(found.model_dump(mode="json"))
    else:
        say(
            f"version {found.version} ({found.model}) is {found.state}: {found.items_done:,} of {found.items_total:,} "
            f"items, {found.users_done:,} of {found.users_total:,} users, {found.set_aside:,} set aside {found.reason}"
        )
        if "weights" in given:
            say(
                f"leg weights of this model: {', '.join(f'{leg} {weight:g}' for leg, weight in given['weights'].items())}"
            )
        if found.state == "live":
            say("back: llmrec rollback; when all is well: llmrec reembed --clean-up")
    if found.state == "failed":
        raise typer.Exit(1)


def _watch(job: Job, target: Target) -> Migration:
    with bar("re-embedding", None, quiet=target.json) as update:

        def tell(found: Migration) -> None:
            update(found.items_done + found.users_done, found.items_total + found.users_total)

        return job.wait(tell=tell)


@app.command()
@connected
def rollback(target: Target) -> None:
    """Switch back to the version before the last re-embedding.

    Example: llmrec rollback
    """
    with target.open() as rec:
        number = rec.rollback()
    print_json({"live": number}) if target.json else say(f"version {number} is live again")


# --- deleting ------------------------------------------------------------------------------------


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


@app.command()
def demo(
    folder: Annotated[
        Path | None, typer.Option(help="Keep the embedded Qdrant here instead of in a temporary folder.")
    ] = None,
) -> None:
    """See it work: the sample catalogue, embedded Qdrant, the real model; no server, no network.

    Example: llmrec demo
    """
    from llmrec_qdrant.demo import run

    run(folder)
