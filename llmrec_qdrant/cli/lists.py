"""The commands that print a list: ``recommend``, ``top``, ``similar``, ``similar-users``, ``search``, ``request``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from llmrec_qdrant.cli.app import Connected, app
from llmrec_qdrant.cli.filters import item_ids, parse_filter, parse_weights
from llmrec_qdrant.cli.options import Exclude, Filter, Limit, Offset
from llmrec_qdrant.cli.printing import print_items, print_json, print_users, say
from llmrec_qdrant.cli.watching import nobody_works
from llmrec_qdrant.contracts.answers import Recommendation, Rerank, Seen
from llmrec_qdrant.errors import MissingDependency, WorkPending
from llmrec_qdrant.queues.none import NO_WORKERS
from llmrec_qdrant.recommender import Recommender
from llmrec_qdrant.space.layout import Key

Diversity = Annotated[
    float, typer.Option("--diversity", help="How different the items should be, from 0 (ignored) to 1.")
]
Weights = Annotated[
    str | None, typer.Option("--weights", help="Weights of the legs, instead of the space's: dense=1,tfidf=1,collab=2.")
]
Explain = Annotated[bool, typer.Option("--explain", "-e", help="Show what adds up to each score, and the reason.")]
IncludeSeen = Annotated[bool, typer.Option("--include-seen", help="Also list items that the user has seen.")]
IncludeLast = Annotated[
    bool, typer.Option("--include-last", help="Also list the user's latest item, for things that people take again.")
]
ByInterest = Annotated[
    bool, typer.Option("--interests", help="Bring the list nearer to the user's shares of interest.")
]
Reranked = Annotated[
    Rerank,
    typer.Option(
        "--rerank",
        help="llm: a language model (LLMREC_LLM_URL, LLMREC_LLM_MODEL) orders the first 20 items within 3 s.",
        show_default=False,
    ),
]


@app.command(rich_help_panel="Lists")
def recommend(
    context: Connected,
    user: Annotated[str, typer.Argument(help="User id.")],
    limit: Limit = 10,
    offset: Offset = 0,
    filter: Filter = None,
    exclude: Exclude = None,
    include_seen: IncludeSeen = False,
    include_last: IncludeLast = False,
    diversity: Diversity = 0.0,
    weights: Weights = None,
    explain: Explain = False,
    interests: ByInterest = False,
    rerank: Reranked = None,
) -> None:
    """Recommend items to a user, best first. A user without events gets the popular items.

    Example: llmrec recommend alice --limit 5 --filter "year>=2000" --explain
    """
    with context.open() as rec:
        listed = rec.recommend(
            user, limit, offset=offset, filter=parse_filter(filter), exclude=item_ids(exclude),
            exclude_seen=exclude_seen(include_seen, include_last),
            diversity=diversity, weights=parse_weights(weights), explain=explain,
            interests="auto" if interests else None, rerank=rerank,
        )  # fmt: skip
        hint = "" if listed or context.json else why_empty(context, rec, "" if include_seen else user)
    _show(context, listed, f"for {user}", hint=hint)


@app.command(rich_help_panel="Lists")
def top(
    context: Connected,
    by: Annotated[
        str, typer.Option(help="Field to order by: popularity, or a number or date among the fields of the space.")
    ] = Key.POPULARITY,
    limit: Limit = 10,
    offset: Offset = 0,
    filter: Filter = None,
    exclude: Exclude = None,
) -> None:
    """List the most popular items, or those with the highest number or latest date in a field.

    Example: llmrec top --by year --filter lang=zh
    """
    with context.open() as rec:
        listed = rec.top(limit, offset=offset, by=by, filter=parse_filter(filter), exclude=item_ids(exclude))
        hint = "" if listed or context.json else why_empty(context, rec)
    _show(context, listed, f"top by {by}", Key.POPULARITY, hint=hint)


@app.command(rich_help_panel="Lists")
def similar(
    context: Connected,
    item: Annotated[str, typer.Argument(help="Item id.")],
    limit: Limit = 10,
    offset: Offset = 0,
    filter: Filter = None,
    exclude: Exclude = None,
    diversity: Diversity = 0.0,
    weights: Weights = None,
    explain: Explain = False,
) -> None:
    """List the items most similar to an item.

    Example: llmrec similar tt0816692 --filter lang=zh
    """
    with context.open() as rec:
        listed = rec.similar_items(
            item, limit, offset=offset, filter=parse_filter(filter), exclude=item_ids(exclude), diversity=diversity,
            weights=parse_weights(weights), explain=explain,
        )  # fmt: skip
    _show(context, listed, f"like {item}")


@app.command("similar-users", rich_help_panel="Lists")
def similar_users(
    context: Connected, user: Annotated[str, typer.Argument(help="User id.")], limit: Limit = 10, offset: Offset = 0
) -> None:
    """List the users most similar to a user, with their strongest words.

    Example: llmrec similar-users alice
    """
    with context.open() as rec:
        listed = rec.similar_users(user, limit, offset=offset)
    if context.json:
        print_json([neighbour.model_dump(mode="json") for neighbour in listed])
    else:
        print_users(listed, f"like {user}")


@contextmanager
def _missing_workers_named(context: Connected) -> Iterator[None]:
    """Where nobody could encode the search text, say so instead of asking for a later search."""
    try:
        yield
    except WorkPending as error:
        if nobody_works(context):
            raise MissingDependency(f"the search text cannot be encoded: {NO_WORKERS}") from error
        raise


@app.command(rich_help_panel="Lists")
def search(
    context: Connected,
    text: Annotated[str, typer.Argument(help="What to look for, in your own words.")],
    user: Annotated[str | None, typer.Option(help="Order the items for this user.")] = None,
    limit: Limit = 10,
    offset: Offset = 0,
    filter: Filter = None,
    exclude: Exclude = None,
    diversity: Diversity = 0.0,
    weights: Weights = None,
    explain: Explain = False,
) -> None:
    """Find items by meaning and by words; with --user, order them for that user.

    Example: llmrec search "heist in a dream" --user alice
    """
    with context.open() as rec, _missing_workers_named(context):
        listed = rec.search(
            text, user, limit, offset=offset, filter=parse_filter(filter), exclude=item_ids(exclude),
            diversity=diversity, weights=parse_weights(weights), explain=explain,
        )  # fmt: skip
        hint = "" if listed or context.json else why_empty(context, rec)
    _show(context, listed, f"“{text}”", hint=hint)


@app.command(rich_help_panel="Lists")
def request(
    context: Connected,
    user: Annotated[str, typer.Argument(help="User id.")],
    limit: Limit = 10,
    offset: Offset = 0,
    filter: Filter = None,
    exclude: Exclude = None,
    include_seen: IncludeSeen = False,
    include_last: IncludeLast = False,
    weights: Weights = None,
) -> None:
    """Print the Qdrant query behind `recommend`: send it from any language, without this package.

    Example: llmrec request alice > body.json, then
    curl localhost:6333/collections/main_items/points/query --json @body.json
    """
    with context.open() as rec:
        body = rec.request(
            user, limit, offset=offset, filter=parse_filter(filter), exclude=item_ids(exclude),
            exclude_seen=exclude_seen(include_seen, include_last), weights=parse_weights(weights),
        )  # fmt: skip
    print_json(body)


def exclude_seen(include_seen: bool, include_last: bool) -> Seen:
    """Return which seen items a list leaves out."""
    return False if include_seen else "but_last" if include_last else True


def why_empty(context: Connected, rec: Recommender, user: str = "") -> str:
    """Say why a list is empty where that can be known; ``user``: whose seen items it leaves out."""
    if not rec.status().items:
        whose = f"space {context.space!r}" + (
            f" has no items of tenant {context.tenant!r}" if context.tenant else " has no items"
        )
        return f"{whose} yet: llmrec load items FILE"
    return f"what {user} has seen is left out; --include-seen lists it, too" if user else ""


def _show(
    context: Connected, listed: Sequence[Recommendation], title: str, counted: str = "score", hint: str = ""
) -> None:
    if context.json:
        print_json([item.model_dump(mode="json") for item in listed])
        return
    print_items(listed, title, counted)
    if hint:
        say(hint)
