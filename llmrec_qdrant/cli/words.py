"""The commands that say in sentences what is known: ``portrait`` and ``blurb``."""

from __future__ import annotations

from typing import Annotated

import typer

from llmrec_qdrant.cli.app import Connected, app
from llmrec_qdrant.cli.printing import print_json, say
from llmrec_qdrant.contracts.answers import Language, Words

User = Annotated[str, typer.Argument(help="User id.")]
InLanguage = Annotated[
    Language | None, typer.Option("--language", help="en or zh [default: that of the items].", show_default=False)
]


@app.command(rich_help_panel="Topics and interests")
def portrait(context: Connected, user: User, language: InLanguage = None) -> None:
    """Say in two sentences what a user cares about.

    Example: llmrec portrait alice --language zh
    """
    with context.open() as rec:
        words = rec.portrait(user, language=language)
    _show(context, words)


@app.command(rich_help_panel="Topics and interests")
def blurb(
    context: Connected,
    user: User,
    item: Annotated[str, typer.Argument(help="Item id.")],
    language: InLanguage = None,
) -> None:
    """Say in a sentence why an item is for a user.

    Example: llmrec blurb alice tt0816692
    """
    with context.open() as rec:
        words = rec.blurb(user, item, language=language)
    _show(context, words)


def _show(context: Connected, words: Words) -> None:
    print_json(words.model_dump(mode="json")) if context.json else say(words.text)
