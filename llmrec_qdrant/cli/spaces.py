"""The commands of ``llmrec``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import Model, Pooling, Similarity, Size, Target, app, connected
from llmrec_qdrant.cli.printing import err, out, print_json, print_status, say
from llmrec_qdrant.cli.progress import bar
from llmrec_qdrant.cli.watching import watched
from llmrec_qdrant.contracts.answers import SpaceStatus
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.queues.inline import inline_available, worker_module
from llmrec_qdrant.recommender import Recommender

POLL_SECONDS = 0.5
"""Seconds between two looks at what the workers have done."""


QUIET_SECONDS = 60.0
"""Seconds without any progress after which nobody seems to work."""


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
    return int(worker_module("encoding.encoder").model_size(SpaceConfig.parse({**given, "size": 1})))


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
