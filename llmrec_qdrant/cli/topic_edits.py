"""The commands that change topics by hand: ``topics merge`` and ``topics split``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from llmrec_qdrant import Job
from llmrec_qdrant.cli.app import Connected
from llmrec_qdrant.cli.options import Wait
from llmrec_qdrant.cli.printing import print_topics
from llmrec_qdrant.cli.topics import TopicName, topics
from llmrec_qdrant.cli.watching import report, run_job
from llmrec_qdrant.recommender import Recommender

__all__: list[str] = []


@topics.command("merge")
def merge_topics(
    context: Connected,
    names: Annotated[list[str], typer.Argument(metavar="TOPIC...", help="Ids or labels of the topics.")],
    wait: Wait = True,
) -> None:
    """Merge topics into the first one that you named, or else into the first. Every later fit keeps them together.

    Example: llmrec topics merge 3 7
    """
    _edit(context, "merging topics", lambda rec: rec.merge_topics(names), wait)


@topics.command("split")
def split_topic(
    context: Connected,
    topic: TopicName,
    into: Annotated[int, typer.Option("--into", help="Number of topics that it becomes.")] = 2,
    wait: Wait = True,
) -> None:
    """Split a topic by what its items are about; the largest part keeps its id and label. Every later fit keeps them apart.

    Example: llmrec topics split 5 --into 3
    """
    _edit(context, "splitting a topic", lambda rec: rec.split_topic(topic, into), wait)


def _edit(context: Connected, doing: str, start: Callable[[Recommender], Job], wait: bool) -> None:
    """Run the job of an edit and print the topics there are then."""
    with context.open() as rec:
        status = run_job(context, rec, doing, lambda: start(rec), wait)
        listed = rec.topics()
    shown = [topic.model_dump(mode="json") for topic in listed]
    report(context, status, lambda _: print_topics(listed), topics=shown)
