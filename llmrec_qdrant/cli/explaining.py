"""The commands that take one item apart: ``explain`` and ``why-not``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from llmrec_qdrant.cli.app import Connected, app
from llmrec_qdrant.cli.filters import item_ids, parse_filter, parse_weights
from llmrec_qdrant.cli.lists import IncludeLast, IncludeSeen, Weights, exclude_seen
from llmrec_qdrant.cli.options import Exclude, Filter, Limit
from llmrec_qdrant.cli.printing import out, print_json, say, table_of
from llmrec_qdrant.contracts.evidence import Evidence, LegEvidence

MAX_SHOWN = 3
"""Items and words per leg in the table."""

User = Annotated[str, typer.Argument(help="User id.")]
ItemId = Annotated[str, typer.Argument(help="Item id.")]
Chinese = Annotated[bool, typer.Option("--chinese", help="Say the reason in Chinese.")]


@app.command(rich_help_panel="Lists")
def explain(
    context: Connected,
    user: User,
    item: ItemId,
    limit: Limit = 10,
    filter: Filter = None,
    exclude: Exclude = None,
    include_seen: IncludeSeen = False,
    include_last: IncludeLast = False,
    weights: Weights = None,
    chinese: Chinese = False,
) -> None:
    """Take the score of an item for a user apart: what adds up to it, and which of the user's items carry it.

    Example: llmrec explain alice tt0816692
    """
    with context.open() as rec:
        told = rec.explain(
            user, item, limit, filter=parse_filter(filter), exclude=item_ids(exclude),
            exclude_seen=exclude_seen(include_seen, include_last), weights=parse_weights(weights),
        )  # fmt: skip
    if context.json:
        print_json(told.model_dump(mode="json"))
    else:
        _print(told, f"{item} for {user}: {told.score:.3f}", "zh" if chinese else "en")


@app.command("why-not", rich_help_panel="Lists")
def why_not(
    context: Connected,
    user: User,
    item: ItemId,
    limit: Limit = 10,
    filter: Filter = None,
    exclude: Exclude = None,
    include_seen: IncludeSeen = False,
    include_last: IncludeLast = False,
    weights: Weights = None,
) -> None:
    """Say where an item falls out of a user's list: filter, seen, muted, no leg, or its rank.

    Example: llmrec why-not alice tt0133093
    """
    with context.open() as rec:
        told = rec.why_not(
            user, item, limit, filter=parse_filter(filter), exclude=item_ids(exclude),
            exclude_seen=exclude_seen(include_seen, include_last), weights=parse_weights(weights),
        )  # fmt: skip
    if context.json:
        print_json(told.model_dump(mode="json"))
    else:
        say(f"{item}: {told.reason}")


def _print(told: Evidence, title: str, language: str) -> None:
    table = table_of(title, ("part", "adds", "rank", "carried by"), right={"adds", "rank"})
    for leg in told.legs:
        rank = f"{leg.rank:,} of {leg.candidates:,}"
        table.add_row(leg.leg, f"{leg.contribution:.3f}", rank, Text(_carriers(leg)))
    for part in told.adjustments:
        table.add_row(part.kind, f"{part.contribution:.3f}", "", Text(part.label))
    out.print(table)
    if reason := told.reasons.get(language):
        say(reason)
    if told.without:
        say(f"without {', '.join(told.without)} it would leave the list")


def _carriers(leg: LegEvidence) -> str:
    """Return the strongest items and words of a leg in one line."""
    shown = [
        f"{event.title or event.item or 'a text'} {event.contribution:.3f}"
        + (f" (then taken by {event.followers:,})" if event.followers else "")
        for event in leg.events[:MAX_SHOWN]
    ]
    words = [f"{word.word} {word.contribution:.3f}" for word in leg.words[:MAX_SHOWN]]
    return ", ".join(shown) + (f" · words: {', '.join(words)}" if words else "")
