"""The commands about a space as a whole: ``init``, ``status``, ``reconcile``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import Connected, app
from llmrec_qdrant.cli.catching_up import catch_up
from llmrec_qdrant.cli.encoders import dimension_of
from llmrec_qdrant.cli.options import Model, Pooling, Similarity, Size, Wait
from llmrec_qdrant.cli.printing import out, print_json, print_status, say
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import InvalidInput, SpaceNotFound
from llmrec_qdrant.recommender import Recommender

Fields = Annotated[
    list[str] | None,
    typer.Option(
        help="Field to filter lists on, as name:kind (repeatable). Kinds: keyword, integer, float, bool, "
        "datetime, text, geo, uuid."
    ),
]
RatingScale = Annotated[
    tuple[float, float] | None,
    typer.Option(metavar="LOW HIGH", help="Lowest and highest rating [default: 0.5 5].", show_default=False),
]
ConfigFile = Annotated[Path | None, typer.Option(help="JSON file with settings of the space.")]


@app.command(rich_help_panel="Space and data")
def init(
    context: Connected,
    model: Model = None,
    size: Size = None,
    pooling: Pooling = None,
    similarity: Similarity = None,
    field: Fields = None,
    rating_scale: RatingScale = None,
    config: ConfigFile = None,
) -> None:
    """Create a space, or change fields and settings of an existing one. Running it twice changes nothing.

    Example: llmrec init --url http://localhost:6333 --space movies --field year:integer --field genres:keyword
    """
    options = {"model": model, "size": size, "pooling": pooling, "similarity": similarity, "rating_scale": rating_scale}
    with context.open(create=True) as rec:
        settings = _config_file(config) | {name: value for name, value in options.items() if value is not None}
        if model and "size" not in settings and not _exists(rec):
            settings["size"] = dimension_of(settings)
        fields = {**settings.get("fields", {}), **_fields(field)}
        created = rec.create({**settings, **({"fields": fields} if fields else {})})
        status = rec.status()
    if context.json:
        print_json({"config": created.model_dump(mode="json"), "status": status.model_dump(mode="json")})
        return
    print_status(status)
    _say_fields(created)
    if not status.items:
        out.print("next: [bold]llmrec load items FILE[/bold], then [bold]llmrec load events FILE[/bold]")


def _exists(rec: Recommender) -> bool:
    """Whether the space exists: then its own settings decide, and a model need not be loaded to be refused."""
    try:
        return bool(rec.config)
    except SpaceNotFound:
        return False


def _config_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InvalidInput(f"the configuration file {str(path)!r} cannot be read: {why}") from None
    if not isinstance(settings, dict):
        raise InvalidInput(f"the configuration file {str(path)!r} must contain one JSON object")
    return settings


def _fields(texts: list[str] | None) -> dict[str, str]:
    fields = {}
    for text in texts or []:
        name, _, kind = text.rpartition(":") if re.search(r':[^"]*$', text) else (text, "", "keyword")
        if not name:
            raise InvalidInput(f"--field must have the form name:kind, such as year:integer, not {text!r}")
        fields[name] = kind
    return fields


def _say_fields(config: SpaceConfig) -> None:
    fields = ", ".join(f"{name} ({kind})" for name, kind in config.fields.items())
    say(f"lists can be filtered on: {fields or 'nothing yet (llmrec init --field name:kind)'}")


@app.command(rich_help_panel="Space and data")
def status(context: Connected) -> None:
    """Count what is stored and what waits for a worker.

    Example: llmrec status --url http://localhost:6333 --space movies
    """
    with context.open() as rec:
        counted = rec.status()
    print_json(counted.model_dump(mode="json")) if context.json else print_status(counted)


@app.command(rich_help_panel="Space and data")
def reconcile(context: Connected, wait: Wait = True) -> None:
    """Encode and refresh everything that is out of date. Run it after Redis or the workers were down.

    Running workers look for such work every few seconds; an embedded space depends on this command.

    Example: llmrec reconcile --broker redis://localhost:6379/0
    """
    with context.open() as rec:
        counted = catch_up(rec, wait=wait, quiet=context.json)
    print_json(counted.model_dump(mode="json")) if context.json else print_status(counted)
