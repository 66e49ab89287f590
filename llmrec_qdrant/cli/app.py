"""The command line application, and the options that all commands share.

The shared options are declared once, as parameters of the callback of ``llmrec`` itself. :class:`ConnectedCommand` and
:class:`ConnectedGroup` accept the same options after the command, so both of these work::

    llmrec --space movies recommend alice --json
    llmrec recommend alice --space movies --json
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

from llmrec_qdrant import __version__
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.queues.base import mask_url
from llmrec_qdrant.recommender import Recommender
from llmrec_qdrant.settings import Settings

__all__ = ["CommandSet", "Connected", "app"]


_connection = partial(typer.Option, rich_help_panel="Connection")
_output = partial(typer.Option, rich_help_panel="Output")


@dataclass(frozen=True)
class Shared:
    """Values of the shared options, as typed."""

    url: str | None = None
    path: str | None = None
    space: str | None = None
    broker: str | None = None
    api_key: str | None = None
    tenant: str | None = None
    json: bool = False
    debug: bool = False

    def updated(self, later: Mapping[str, Any]) -> Shared:
        """Return these values, overridden by those that were typed later in the line."""
        return replace(self, **{name: value for name, value in later.items() if value not in (None, False)})

    def connection(self) -> dict[str, Any]:
        """Return the arguments of :meth:`Recommender.connect`: options override the environment.

        A server or folder in an option overrides both the server and the folder of the environment. Raises
        :class:`InvalidInput` for an empty option: a variable of a script that is not set must not mean another space or all tenants.
        """
        for name in ("url", "path", "space", "broker", "api_key", "tenant"):
            if getattr(self, name) == "":
                raise InvalidInput(f"--{name.replace('_', '-')} is empty: give it a value, or leave it out")
        bound = {"tenant": self.tenant} if self.tenant else {}
        arguments = Settings(space=self.space or Settings().space or "main", **bound).connection()
        if self.url or self.path:
            arguments |= {"url": None, "path": None}
        return arguments | {name: getattr(self, name) for name in arguments if getattr(self, name)}


class Connected(typer.Context):
    """The context of a command: the Qdrant it works on, and the output format."""

    obj: Shared

    def open(self, create: bool = False) -> Recommender:
        """Connect to the space. With ``create``, the folder of an embedded Qdrant is created if it is missing.

        Raises :class:`InvalidInput` if no Qdrant is set or the folder does not exist.
        """
        arguments = self.obj.connection()
        path = arguments["path"]
        if arguments["url"] is None and path is None:
            raise InvalidInput(
                "no Qdrant is set: pass --url http://localhost:6333 (or set LLMREC_QDRANT_URL), "
                "or --path ./data for an embedded one"
            )
        if path and Path(path).is_file():
            raise InvalidInput(f"{path!r} is a file: --path names the folder of an embedded Qdrant")
        if path and path != ":memory:" and not create and not Path(path).is_dir():
            raise InvalidInput(
                f"there is no folder {path!r}: check the path, or create it with `llmrec init --path {path}`"
            )
        return Recommender.connect(**arguments)

    @property
    def json(self) -> bool:
        """Whether to print one JSON document."""
        return self.obj.json

    @property
    def space(self) -> str:
        """Name of the space."""
        name: str = self.obj.connection()["space"]
        return name

    @property
    def has_broker(self) -> bool:
        """Whether Celery workers do the work, not this process."""
        return self.obj.connection()["broker"] is not None

    @property
    def embedded(self) -> bool:
        """Whether the Qdrant is a folder, which one process at a time can open."""
        return self.obj.connection()["url"] is None

    @property
    def tenant(self) -> str | None:
        """Tenant that the command is bound to; None: all."""
        tenant: str | None = self.obj.connection()["tenant"]
        return tenant

    def refuse_tenant(self, what: str) -> None:
        """Raise :class:`InvalidInput` if the command is bound to a tenant: ``what`` it shows or does concerns all of them."""
        if self.tenant is not None:
            raise InvalidInput(
                f"{what} concerns all tenants, and this command is bound to tenant {self.tenant!r}: leave out --tenant, or unset LLMREC_TENANT"
            )

    @property
    def api_key(self) -> str | None:
        """API key of the Qdrant; never print it."""
        key: str | None = self.obj.connection()["api_key"]
        return key

    @property
    def where(self) -> str:
        """Address of the Qdrant, without its password."""
        arguments = self.obj.connection()
        return mask_url(arguments["url"]) if arguments["url"] else str(Path(arguments["path"]).resolve())


SHARED_OPTIONS = tuple(field.name for field in fields(Shared))
"""Names of the shared options."""


def _with_shared(command: Any, context: Any, declared: list[Any]) -> list[Any]:
    """Return the parameters that a command declares, the shared ones, and ``--help``."""
    own = len(command.params)
    shared = [option for option in context.find_root().command.params if option.name in SHARED_OPTIONS]
    return [*declared[:own], *shared, *declared[own:]]


def _take_shared(context: Any) -> None:
    """Move the shared options from the arguments of the command into its context."""
    later = {name: context.params.pop(name, None) for name in SHARED_OPTIONS}
    context.obj = (context.obj or Shared()).updated(later)


def _make_plain(command: Any) -> None:
    """Let the paragraphs of a help text flow, and show its brackets instead of reading them as markup."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    command.help = "\n\n".join(escape(" ".join(paragraph.split())) for paragraph in paragraphs)
    for parameter in command.params:
        if text := getattr(parameter, "help", None):
            parameter.help = escape(text)


class _AcceptsShared:
    """Adds the shared options to a command or a group, and shows its help as plain text."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        _make_plain(self)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the command's own parameters and the shared ones."""
        return _with_shared(self, ctx, super().get_params(ctx))  # type: ignore[misc]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; the values of the shared options go into the context."""
        rest: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        _take_shared(ctx)
        return rest


class ConnectedCommand(_AcceptsShared, TyperCommand):
    """A command that accepts the shared options beside its own."""

    context_class = Connected


class ConnectedGroup(_AcceptsShared, TyperGroup):
    """A command with subcommands that accepts the shared options beside its own."""

    context_class = Connected


class CommandSet(typer.Typer):
    """Commands that all accept the shared options."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """Register a function as a command."""
        return super().command(name, **{"cls": ConnectedCommand, **settings})


app = CommandSet(
    add_completion=True,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Turn a Qdrant into a recommender that knows each user's interests.\n\n"
    "Start with [bold]llmrec demo[/bold]. With your own data: [bold]llmrec init[/bold], "
    "[bold]llmrec load items FILE[/bold], [bold]llmrec load events FILE[/bold], [bold]llmrec recommend USER[/bold].\n\n"
    "The options under Connection and Output work before and after every command. Instead of a connection option "
    "you can set LLMREC_QDRANT_URL, LLMREC_PATH, LLMREC_SPACE, LLMREC_BROKER, LLMREC_API_KEY or "
    "LLMREC_TENANT.\n\n"
    "Exit codes: 0 done, 1 failed, 2 wrong usage or something is not installed, 3 done but some rows were refused, "
    "130 interrupted.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"llmrec {__version__}")
        raise typer.Exit


@app.callback()
def share(
    context: typer.Context,
    url: Annotated[str | None, _connection(help="Qdrant server, such as http://localhost:6333.")] = None,
    path: Annotated[str | None, _connection(help="Folder of an embedded Qdrant, instead of a server.")] = None,
    space: Annotated[str | None, _connection(help="Name of the space (default: main).")] = None,
    broker: Annotated[
        str | None, _connection(help="Redis URL of the workers; without it, this process does the work.")
    ] = None,
    api_key: Annotated[str | None, _connection(help="Qdrant API key; prefer setting LLMREC_API_KEY.")] = None,
    tenant: Annotated[str | None, _connection(help="Work only with the items and users of this tenant.")] = None,
    json: Annotated[bool, _output("--json", help="Print one JSON document instead of tables.")] = False,
    debug: Annotated[bool, _output("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Store the shared options for the command that follows."""
    context.obj = Shared(url, path, space, broker, api_key, tenant, json, debug)
