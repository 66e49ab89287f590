"""The commands about topics and interests: ``topics``, ``topics fit``, ``topics items``, ``topics rename``, ``interests``, ``shelves``, ``steer``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from llmrec_qdrant.cli.app import CommandSet, Connected, ConnectedGroup, app
from llmrec_qdrant.cli.filters import item_ids, parse_filter
from llmrec_qdrant.cli.options import Exclude, Filter, Limit, Offset, Wait
from llmrec_qdrant.cli.printing import print_interests, print_items, print_json, print_topics, say
from llmrec_qdrant.cli.watching import report, run_job
from llmrec_qdrant.contracts.answers import MIN_TOPIC_ITEMS, POPULAR, Interest, Topic
from llmrec_qdrant.errors import NotFound
from llmrec_qdrant.recommender import Recommender
from llmrec_qdrant.space.layout import INTERESTS, Key

topics = CommandSet(cls=ConnectedGroup)
app.add_typer(topics, name="topics", rich_help_panel="Topics and interests")

User = Annotated[str, typer.Argument(help="User id.")]
TopicName = Annotated[str, typer.Argument(help="Id or label of the topic.")]


@topics.callback(invoke_without_command=True)
def list_topics(context: Connected) -> None:
    """List the topics, largest first; discover them, list their items, rename them.

    Example: llmrec topics --space movies; to discover them: llmrec topics fit
    """
    if context.invoked_subcommand is not None:
        return
    with context.open() as rec:
        listed = rec.topics()
    if context.json:
        print_json([topic.model_dump(mode="json") for topic in listed])
    else:
        print_topics(listed)


@topics.command("fit")
def fit_topics(
    context: Connected,
    number: Annotated[
        int | None, typer.Option("--number", help="Number of topics [default: the data decides].", show_default=False)
    ] = None,
    wait: Wait = True,
) -> None:
    """Discover the topics of all items. Topics that persist keep their id and label.

    Example: llmrec topics fit --space movies
    """
    with context.open() as rec:
        status = run_job(context, rec, "discovering topics", lambda: rec.fit_topics(number), wait)
        listed = rec.topics()
        counted = rec.status()
    encoded = counted.items - counted.items_stale
    report(
        context, status, lambda _: _print_fitted(listed, encoded),
        topics=[topic.model_dump(mode="json") for topic in listed],
    )  # fmt: skip


def _print_fitted(listed: Sequence[Topic], encoded: int) -> None:
    """Print the topics of a fit, or why there are none; ``encoded`` counts the items that have been encoded."""
    if listed:
        print_topics(listed)
    elif encoded < MIN_TOPIC_ITEMS:
        say(
            f"no topics: a fit needs at least {MIN_TOPIC_ITEMS} encoded items, and this space has {encoded:,}", "yellow"
        )
    else:
        say(
            f"no topics: the {encoded:,} encoded items do not form groups (a tenant needs {MIN_TOPIC_ITEMS} of its own): "
            "load more items, or longer texts",
            "yellow",
        )


@topics.command("items")
def list_topic_items(
    context: Connected, topic: TopicName, limit: Limit = 10, offset: Offset = 0, filter: Filter = None
) -> None:
    """List the items of a topic, most popular first.

    Example: llmrec topics items 7 --limit 20
    """
    with context.open() as rec:
        listed = rec.topic_items(topic, limit, offset=offset, filter=parse_filter(filter))
    if context.json:
        print_json([item.model_dump(mode="json") for item in listed])
    else:
        print_items(listed, f"topic {topic}", Key.POPULARITY)


@topics.command("rename")
def rename_topic(
    context: Connected, topic: TopicName, label: Annotated[str, typer.Argument(help="The new label.")]
) -> None:
    """Rename a topic. Every later fit keeps the new label.

    Example: llmrec topics rename 7 "space films"
    """
    with context.open() as rec:
        renamed = rec.rename_topic(topic, label)
    if context.json:
        print_json(renamed.model_dump(mode="json"))
    else:
        say(f"topic {renamed.id} is now called {renamed.label}")


@app.command(INTERESTS, rich_help_panel="Topics and interests")
def show_interests(context: Connected, user: User) -> None:
    """Show the current interests of a user, with the items behind them.

    Example: llmrec interests alice
    """
    with context.open() as rec:
        listed = rec.interests(user)
        hint = "" if listed or context.json else _why_none(rec, user)
    _show(context, user, listed, hint)


@app.command("steer", rich_help_panel="Topics and interests")
def steer_user(
    context: Connected,
    user: User,
    topic: TopicName,
    weight: Annotated[
        float, typer.Option("--weight", help="0 mutes, below 1 weakens, above 1 strengthens (up to 4), 1 resets.")
    ] = 0.0,
    new: Annotated[bool, typer.Option("--new", help="Accept a user who has no events yet.")] = False,
) -> None:
    """Mute or strengthen a topic for a user, from the next recommendation on.

    Example: llmrec steer alice "horror · zombie" --weight 0
    """
    with context.open() as rec:
        if not new and not rec.events(user, 1):
            raise NotFound(
                f"there is no user {user!r} with events in space {context.space!r}: correct the id, or add --new to steer "
                "somebody who has no events yet"
            )
        listed = rec.steer(user, topic, weight)
        label = next((known.label for known in rec.topics() if topic in (known.id, known.label)), topic)
    _show(context, user, listed, "")
    if not context.json:
        effect = "is muted" if weight == 0 else "counts as usual" if weight == 1 else f"counts ×{weight:g}"
        say(f"topic {label} {effect} for {user}")


def _show(context: Connected, user: str, listed: Sequence[Interest], hint: str) -> None:
    """Print interests; ``hint`` says why there are none."""
    if context.json:
        print_json([interest.model_dump(mode="json") for interest in listed])
    elif listed:
        print_interests(listed, user)
    elif hint:
        say(hint)


def _why_none(rec: Recommender, user: str) -> str:
    """Say why a user has no interests, and what to do about it."""
    none = f"{user} has no interests yet:"
    popular = next((item.reason for item in rec.recommend(user, 1)), "")
    if popular.startswith(POPULAR):
        return f"{none} {popular.removeprefix(POPULAR)}"
    if rec.topics():
        return (
            f"{none} none of the items that {user} likes has a topic. Items loaded since the last fit get one with "
            "llmrec topics fit"
        )
    counted = rec.status()
    encoded = counted.items - counted.items_stale
    if encoded < MIN_TOPIC_ITEMS:
        return f"{none} topics take at least {MIN_TOPIC_ITEMS} encoded items, and this space has {encoded:,}"
    return f"{none} there are no topics. Discover them: llmrec topics fit"


@app.command("shelves", rich_help_panel="Topics and interests")
def show_shelves(
    context: Connected,
    user: User,
    limit: Limit = 5,
    offset: Offset = 0,
    rows: Annotated[int, typer.Option("--rows", help="Number of interests.")] = 5,
    filter: Filter = None,
    exclude: Exclude = None,
) -> None:
    """Recommend one row of items per interest, strongest interest first.

    Example: llmrec shelves alice --rows 3
    """
    with context.open() as rec:
        shelves = rec.shelves(user, rows, limit, offset=offset, filter=parse_filter(filter), exclude=item_ids(exclude))
        listed = [] if shelves else rec.interests(user)
        hint = "" if shelves or listed or context.json else _why_none(rec, user)
    if context.json:
        print_json([shelf.model_dump(mode="json") for shelf in shelves])
        return
    for shelf in shelves:
        print_items(shelf.items, shelf.title)
    if not shelves:
        say(hint or f"no shelf has items: the interests of {user} are muted, or nothing in them is new")
