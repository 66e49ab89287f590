"""Options that several commands share."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from llmrec_qdrant.cli.printing import err, warn
from llmrec_qdrant.errors import InvalidInput

__all__ = [
    "Exclude",
    "Filter",
    "Limit",
    "Model",
    "Offset",
    "Pooling",
    "Seed",
    "Similarity",
    "Size",
    "SplitBy",
    "Wait",
    "Yes",
    "confirm",
]


class SplitBy(StrEnum):
    """Which events are held out."""

    LAST = "last"
    TIME = "time"


Limit = Annotated[int, typer.Option("--limit", "-n", help="Length of the list.")]

Offset = Annotated[int, typer.Option("--offset", help="Items to skip: --offset 10 continues a list of ten.")]

Seed = Annotated[int, typer.Option(help="Seed of the random choices; the same seed gives the same figures.", min=0)]

Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Watch the work until it is done, or return at once.")]

Model = Annotated[
    str | None,
    typer.Option(help="Encoder: a sentence-transformers or BERT model id, a folder, or a model of `llmrec train`."),
]

Size = Annotated[
    int | None, typer.Option(help="Dimension of a dense vector [default: read from the model].", show_default=False)
]

Pooling = Annotated[str | None, typer.Option(help="How token vectors become one text vector: mean or cls.")]

Similarity = Annotated[str | None, typer.Option(help="How vectors are compared: cosine or pearson.")]

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def confirm(question: str, yes: bool, refusal: str = "nothing deleted") -> None:
    """Ask before data is lost, unless ``yes``; a no ends the command with exit code 1, after the sentence ``refusal``.

    Raises :class:`InvalidInput` if standard input, which is no terminal, holds no answer.
    """
    if yes:
        return
    terminal = sys.stdin.isatty()
    try:
        agreed = typer.confirm(question, default=False, err=True)
    except typer.Abort:
        if terminal:  # Ctrl-C or Ctrl-D
            raise
        err.print()
        raise InvalidInput(f"{refusal}: pass --yes to confirm without a terminal") from None
    if not agreed:
        warn(refusal)
        raise typer.Exit(1)


Filter = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        "-f",
        help="Condition on a field (repeatable; all must hold): year>=2000, price<9.99, released>=2024-05, adult=no, genre=a,b "
        "(either), lang!=zh, 'name=\"a, b\"', title~word, !sequel (has none), or one JSON object.",
    ),
]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", help="Ids of items to leave out, separated by commas (repeatable).")
]
