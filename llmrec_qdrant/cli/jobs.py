"""The commands about long work: ``jobs``, ``failures``, ``reembed``, ``rollback``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import Connected, app
from llmrec_qdrant.cli.encoders import dimension_of, leg_weights
from llmrec_qdrant.cli.options import Model, Pooling, Similarity, Size, Wait
from llmrec_qdrant.cli.printing import out, print_json, print_status, say, table_of
from llmrec_qdrant.cli.progress import bar
from llmrec_qdrant.contracts.jobs import JobStatus
from llmrec_qdrant.operations.handles import Job
from llmrec_qdrant.recommender import Recommender


@app.command()
def jobs(context: Connected) -> None:
    """What is being done, counted in Qdrant; what failed; and another try for it.

    Example: llmrec jobs
    """
    with context.open() as rec:
        found = rec.status()
    print_json({"status": found.model_dump(mode="json")}) if context.json else print_status(found)


@app.command()
def failures(
    context: Connected,
    retry: Annotated[bool, typer.Option("--retry", help="Give all of them another chance.")] = False,
) -> None:
    """List the items, users and texts that failed too often and were set aside, with the reason; retry them.

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
    table = table_of("set aside after failing too often", ("kind", "id", "version", "reason"), right={"version"})
    for failure in listed:
        table.add_row(failure.kind, failure.id, str(failure.version), failure.reason)
    out.print(table)
    say(f"{retried:,} get another chance" if retry else "try them again: llmrec failures --retry")


@app.command()
def reembed(
    context: Connected,
    model: Model = None,
    size: Size = None,
    pooling: Pooling = None,
    similarity: Similarity = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop a re-embedding and delete what it made.")] = False,
    clean_up: Annotated[bool, typer.Option("--clean-up", help="Delete old versions; no rollback afterwards.")] = False,
    wait: Wait = True,
) -> None:
    """Move the space to another model beside the live one, and switch when it is complete.

    A model of `llmrec train` brings the leg weights it was chosen with; rollback brings the old ones back.
    Interrupting stops the waiting, not the work; the same command again goes on watching.

    Example: llmrec reembed --model sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2
    """
    with context.open() as rec:
        if cancel or clean_up:
            gone: Any = _cancelled(rec) if cancel else rec.clean_up()
            print_json({"deleted": gone}) if context.json else say(f"deleted: {gone or 'nothing'}")
            return
        options = {"model": model, "size": size, "pooling": pooling, "similarity": similarity}
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        if model and size is None:
            given["size"] = dimension_of(given)
        if model and model != rec.config.model and (weights := leg_weights(rec, model)):
            given["weights"] = weights
        with (
            bar("re-embedding", None, quiet=context.json) as update,
            rec.watch(lambda stage, done, total: update(done, total, stage)),
        ):
            job = rec.reembed(**given)
        found = _watch(job, context) if wait else job.progress()
    if context.json:
        print_json(found.model_dump(mode="json"))
    else:
        say(
            f"{found.id} is {found.state}: {found.result or f'{found.done:,.0f} of {found.total or 0:,.0f}'} {found.reason}"
        )
        if "weights" in given:
            say(
                f"leg weights of this model: {', '.join(f'{leg} {weight:g}' for leg, weight in given['weights'].items())}"
            )
        if found.state == "done":
            say("back: llmrec rollback; when all is well: llmrec reembed --clean-up")
    if found.state == "failed":
        raise typer.Exit(1)


def _cancelled(rec: Recommender) -> list[str]:
    """Ids of the re-embeddings that were cancelled."""
    return [job.id for job in rec.jobs() if job.kind == "reembed" and job.active and rec.job(job.id).cancel()]


def _watch(job: Job, context: Connected) -> JobStatus:
    with bar("re-embedding", None, quiet=context.json) as update:
        return job.wait(on_progress=lambda found: update(found.done, found.total, found.stage))


@app.command()
def rollback(context: Connected) -> None:
    """Switch back to the version before the last re-embedding.

    Example: llmrec rollback
    """
    with context.open() as rec:
        number = rec.rollback()
    print_json({"live": number}) if context.json else say(f"version {number} is live again")
