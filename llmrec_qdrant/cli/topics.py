"""The commands about topics and interests: ``topics``, ``topics fit``, ``topics rename``, ``interests``, ``shelves``, ``steer``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from llmrec_qdrant.cli.app import CommandSet, Connected, ConnectedGroup, app
from llmrec_qdrant.cli.options import Limit, Wait
from llmrec_qdrant.cli.printing import print_interests, print_items, print_json, print_topics, say
from llmrec_qdrant.cli.watching import report, run_job
from llmrec_qdrant.contracts.answers import MIN_TOPIC_ITEMS, Interest, Topic
from llmrec_qdrant.space.layout import INTERESTS

topics = CommandSet(cls=ConnectedGroup)
app.add_typer(topics, name="topics", rich_help_panel="Topics and interests")

User = Annotated[str, typer.Argument(help="User id.")]
TopicName = Annotated[str, typer.Argument(help="Id or label of the topic.")]


@topics.callback(invoke_without_command=True)
def list_topics(context: Connected) -> None:
    """List the topics, largest first; discover and rename them.

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
    _show(context, user, listed)


@app.command("steer", rich_help_panel="Topics and interests")
def steer_user(
    context: Connected,
    user: User,
    topic: TopicName,
    weight: Annotated[
        float, typer.Option("--weight", help="0 mutes, below 1 weakens, above 1 strengthens (up to 4), 1 resets.")
    ] = 0.0,
) -> None:
    """Mute or strengthen a topic for a user, from the next recommendation on.

    Example: llmrec steer alice "horror · zombie" --weight 0
    """
    with context.open() as rec:
        listed = rec.steer(user, topic, weight)
    _show(context, user, listed)


def _show(context: Connected, user: str, listed: Sequence[Interest]) -> None:
    if context.json:
        print_json([interest.model_dump(mode="json") for interest in listed])
    else:
        print_interests(listed, user)


@app.command("shelves", rich_help_panel="Topics and interests")
def show_shelves(
    context: Connected,
    user: User,
    limit: Limit = 5,
    rows: Annotated[int, typer.Option("--rows", help="Number of interests.")] = 5,
) -> None:
    """Recommend one row of items per interest, strongest interest first.

    Example: llmrec shelves alice --rows 3
    """
    with context.open() as rec:
        shelves = rec.shelves(user, rows, limit)
    if context.json:
        print_json([shelf.model_dump(mode="json") for shelf in shelves])
        return
    for shelf in shelves:
        print_items(shelf.items, shelf.title)
    if not shelves:
        say(f"{user} has no interests yet: there are no events, or no topics (llmrec topics fit)")
