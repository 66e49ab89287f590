"""The commands about jobs and failed work: ``jobs`` and ``failures``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from llmrec_qdrant.cli.app import Connected, app
from llmrec_qdrant.cli.job_table import print_jobs
from llmrec_qdrant.cli.options import Wait
from llmrec_qdrant.cli.printing import counted_as, out, print_json, say, table_of
from llmrec_qdrant.cli.watching import nobody_works, watch_job
from llmrec_qdrant.queues.none import NO_WORKERS
from llmrec_qdrant.recommender import Recommender

MAX_LISTED = 100
"""Failures that are listed at most."""


@app.command(rich_help_panel="Work")
def jobs(
    context: Connected,
    job: Annotated[str | None, typer.Argument(help="Id of a job, such as train-7.", show_default=False)] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop the job; its worker stops within seconds.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", help="Number of jobs to list.", min=1)] = 20,
    wait: Wait = True,
) -> None:
    """List re-embeddings, trainings, topic fits, tunings and written texts, newest first; with an id, watch that job to its end.

    Ctrl-C stops the watching, not the job. If the worker of a job dies, another worker resumes it.

    Example: llmrec jobs

    Example: llmrec jobs train-7 --cancel
    """
    if job is None and cancel:
        raise typer.BadParameter("--cancel needs the id of a job: llmrec jobs ID --cancel")
    with context.open() as rec:
        _watch(context, rec, job, cancel, wait) if job else _list(context, rec, limit)


def _list(context: Connected, rec: Recommender, limit: int) -> None:
    listed = rec.jobs(limit)
    if context.json:
        print_json([status.model_dump(mode="json") for status in listed])
    else:
        print_jobs(listed, f"jobs of {rec.space}")


def _watch(context: Connected, rec: Recommender, id: str, cancel: bool, wait: bool) -> None:
    job = rec.job(id)
    cancelled = cancel and job.cancel()
    stuck = nobody_works(context) and context.embedded  # no other process can open the folder
    status = watch_job(job, job.kind, context.json) if wait and not cancel and not stuck else job.progress()
    if context.json:
        print_json(status.model_dump(mode="json"))
        return
    print_jobs([status], f"job of {rec.space}")
    if stuck and status.active:
        say(f"nobody works on it: {NO_WORKERS}", "yellow")
    if cancel and not cancelled:
        say(f"{id} has ended: there is nothing to cancel", "yellow")


@app.command(rich_help_panel="Work")
def failures(
    context: Connected,
    retry: Annotated[bool, typer.Option("--retry", help="Retry all of them.")] = False,
) -> None:
    """List the items, users, texts and events that were set aside, since they failed too often or are malformed; retry them.

    Example: llmrec failures --retry
    """
    with context.open() as rec:
        listed = rec.failures()
        retried = rec.retry() if retry else 0
    if context.json:
        print_json({"failures": [failure.model_dump(mode="json") for failure in listed], "retried": retried})
        return
    if not listed:
        say("nothing was set aside")
        return
    table = table_of("set aside", ("kind", "id", "version", "reason"), right={"version"})
    for failure in listed:
        table.add_row(failure.kind, Text(failure.id), str(failure.version), Text(failure.reason))
    out.print(table)
    if len(listed) == MAX_LISTED:
        say(f"the first {MAX_LISTED:,}; there may be more")
    if not retry:
        say("retry them: llmrec failures --retry")
    elif context.has_broker or nobody_works(context):
        say(f"{counted_as(retried, 'point')} will be tried again by a worker")
    else:
        say(f"{counted_as(retried, 'point')} tried again: llmrec failures lists those that failed again")
