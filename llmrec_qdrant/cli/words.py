"""The commands that say in sentences what is known: ``portrait``, ``blurb`` and ``generate``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import Connected, app
from llmrec_qdrant.cli.options import Wait
from llmrec_qdrant.cli.printing import counted_as, print_json, say
from llmrec_qdrant.cli.watching import report, run_job
from llmrec_qdrant.contracts.answers import Language, Words
from llmrec_qdrant.contracts.jobs import What

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


@app.command(rich_help_panel="Better lists")
def generate(
    context: Connected,
    what: Annotated[
        What,
        typer.Option(
            help="users: portraits and blurbs; topics: names, descriptions, titles of shelves; items: fields that they lack."
        ),
    ] = "users",
    users: Annotated[
        int | None, typer.Option(help="Number of users [default: all].", show_default=False, min=1)
    ] = None,
    blurbs: Annotated[int, typer.Option(help="Texts per user on the first items of the list.", min=0, max=100)] = 3,
    language: InLanguage = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(help="Estimated tokens at which it ends [default: no limit].", show_default=False, min=1),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show requests, tokens and cost; ask nobody.")] = False,
    wait: Wait = True,
) -> None:
    """Write texts with the language model that LLMREC_LLM_URL and LLMREC_LLM_MODEL name.

    A text that says anything beyond its evidence is refused, and the template stays. Running it again continues.

    Example: llmrec generate --users 100 --dry-run
    """
    with context.open() as rec:
        status = run_job(
            context, rec, "writing",
            lambda: rec.generate(
                what=what, users=users, blurbs=blurbs, language=language, max_tokens=max_tokens, dry_run=dry_run
            ), wait,
        )  # fmt: skip
    report(context, status, _print_generated)


def _print_generated(result: dict[str, Any]) -> None:
    cost = f"cost {result['cost']:g}" if result["cost"] else "cost unknown without LLMREC_LLM_PRICE"
    asked = f"{counted_as(result['requests'], 'request')}, about {result['tokens']:,} tokens, {cost}"
    if result["dry_run"]:
        what = next(name for name in ("users", "topics", "items") if name in result)
        say(f"{counted_as(result[what], what[:-1])}: {asked}; nobody was asked (--dry-run)")
        _say_if_nobody(result)
        if result["spent"]:
            say("counted up to --max-tokens: more texts would follow", "yellow")
        return
    say(
        f"{counted_as(result['written'], 'text')} written, {result['refused']:,} refused, {result['current']:,} still current: {asked}"
    )
    if failed := result["requests"] - result["written"] - result["refused"]:
        say(f"{counted_as(failed, 'request')} failed: run the command again to write these texts", "yellow")
    _say_if_nobody(result)
    if result["spent"]:
        say("--max-tokens is used up; run the command again to continue", "yellow")


def _say_if_nobody(result: dict[str, Any]) -> None:
    if result.get("users") and not result["requests"] and not result["current"]:
        say("nobody has interests to write about: they take events, and topics (llmrec topics fit)", "yellow")
