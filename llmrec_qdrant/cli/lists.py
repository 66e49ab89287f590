"""TODO: llmrec_qdrant.cli.lists."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import Diversity, Exclude, Explain, Filter, Limit, Target, Weights, app, connected
from llmrec_qdrant.cli.conditions import _filter, _weights
from llmrec_qdrant.cli.printing import print_items, print_json, print_users
from llmrec_qdrant.contracts.answers import Seen
from llmrec_qdrant.space.layout import Key


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
