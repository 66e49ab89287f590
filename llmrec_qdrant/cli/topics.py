"""The commands about topics and interests: ``topics``, ``topics fit``, ``topics rename``, ``interests``, ``shelves``, ``steer``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from llmrec_qdrant.cli.app import Limit, Target, app, connected
from llmrec_qdrant.cli.printing import print_interests, print_items, print_json, print_topics, say
from llmrec_qdrant.cli.progress import bar
from llmrec_qdrant.contracts.answers import Interest
from llmrec_qdrant.operations import interests
from llmrec_qdrant.recommender import Recommender
from llmrec_qdrant.space.layout import INTERESTS

__all__ = ["evidence", "topics"]


topics = typer.Typer()


app.add_typer(topics, name="topics")


@topics.callback(invoke_without_command=True)
@connected
def list_topics(target: Target, context: typer.Context) -> None:
    """List the topics, largest first.

    Example: llmrec topics --space movies; to find them: llmrec topics fit
    """
    if context.invoked_subcommand is not None:
        return
    with target.open() as rec:
        found = rec.topics()
    if target.json:
        print_json([one.model_dump(mode="json") for one in found])
    else:
        print_topics(found)


@topics.command("fit")
@connected
def fit_topics(
    target: Target,
    number: Annotated[
        int | None, typer.Option("--number", help="How many; left out: as many as the items show.")
    ] = None,
) -> None:
    """Find the topics of all items. Topics that are still the same keep their id and their label.

    Example: llmrec topics fit --space movies
    """
    with target.open() as rec:
        with bar("finding topics", None, quiet=target.json):
            told = rec.fit_topics(number)
        found = rec.topics()
    if target.json:
        print_json({"told": told, "topics": [one.model_dump(mode="json") for one in found]})
    elif target.connection["broker"]:
        say("a worker has been asked; watch `llmrec topics`" if told else "no worker could be asked: is Redis up?")
    else:
        print_topics(found)


@topics.command("rename")
@connected
def rename_topic(target: Target, topic: str, label: str) -> None:
    """Give a topic, named by id or label, a label of your own; every refit keeps it.

    Example: llmrec topics rename 7 "space films"
    """
    with target.open() as rec:
        found = rec.rename_topic(topic, label)
    print_json(found.model_dump(mode="json")) if target.json else say(f"topic {found.id} is called {found.label}")


def evidence(rec: Recommender, found: Sequence[Interest]) -> dict[str, str]:
    """Titles of the items that show interests."""
    return rec._drive(interests.titles(rec._bound(), [item for one in found for item in one.items]))


@app.command(INTERESTS)
@connected
def show_interests(target: Target, user: str) -> None:
    """What a user cares about now, with the items that show it.

    Example: llmrec interests alice
    """
    with target.open() as rec:
        found = rec.interests(user)
        titles = {} if target.json else evidence(rec, found)
    if target.json:
        print_json([one.model_dump(mode="json") for one in found])
    else:
        print_interests(found, user, titles)


@app.command("shelves")
@connected
def show_shelves(
    target: Target, user: str, limit: Limit = 5, rows: Annotated[int, typer.Option("--rows", help="Interests.")] = 5
) -> None:
    """One row of recommendations per interest.

    Example: llmrec shelves alice --rows 3
    """
    with target.open() as rec:
        found = rec.shelves(user, rows, limit)
    if target.json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    for shelf in found:
        print_items(shelf.items, shelf.title)
    if not found:
        say(f"no interests of {user} are known yet: llmrec interests {user}")


@app.command("steer")
@connected
def steer_user(
    target: Target, user: str, topic: str,
    weight: Annotated[float, typer.Option("--weight", help="0 mutes, below 1 less, above 1 more, 1 takes it back.")] = 0.0,
) -> None:  # fmt: skip
    """Mute or boost a topic for a user, from the very next recommendation on.

    Example: llmrec steer alice "horror · zombie" --weight 0
    """
    with target.open() as rec:
        found = rec.steer(user, topic, weight)
        titles = {} if target.json else evidence(rec, found)
    if target.json:
        print_json([one.model_dump(mode="json") for one in found])
    else:
        print_interests(found, user, titles)
