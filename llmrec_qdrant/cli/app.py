"""TODO: llmrec_qdrant.cli.app."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.queues.base import mask_url
from llmrec_qdrant.recommender import Recommender
from llmrec_qdrant.settings import Settings

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


Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until workers have encoded everything.")]
