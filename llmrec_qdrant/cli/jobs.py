"""TODO: llmrec_qdrant.cli.jobs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import Model, Pooling, Similarity, Size, Target, Wait, app, connected
from llmrec_qdrant.cli.printing import print_json, print_status, say
from llmrec_qdrant.cli.progress import bar
from llmrec_qdrant.cli.spaces import _size_of
from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.contracts.jobs import Migration
from llmrec_qdrant.operations.reembed import live_with
from llmrec_qdrant.queues.inline import inline_available, worker_module
from llmrec_qdrant.recommender import Job, Recommender


def _weights_of(rec: Recommender, model: str) -> dict[Leg, float] | None:
    """The leg weights that a trained model was chosen with, or, where one is left, those from before it; else None."""
    if not inline_available():
        return None
    find = worker_module("encoding.registry").find
    if trained := find(model):
        weights: dict[Leg, float] | None = trained[0].metrics.get("leg weights")
        return weights
    left = find(rec.config.model)
    brought = left and left[0].metrics.get("leg weights") == rec.config.weights
    return left[0].metrics.get("leg weights before") if left and brought else None


@app.command()
@connected
def jobs(
    target: Target,
    failed: Annotated[bool, typer.Option("--failed", help="List what was set aside, and why.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Give what was set aside another chance.")] = False,
) -> None:
    """What is being done, counted in Qdrant; what failed; and another try for it.

    Example: llmrec jobs --failed
    """
    with target.open() as rec:
        again = rec.retry() if retry else 0
        found = rec.status()
        listed = rec.failures() if failed else []
    if target.json:
        print_json(
            {
                "status": found.model_dump(mode="json"),
                "retried": again,
                "failed": [one.model_dump(mode="json") for one in listed],
            }
        )
        return
    if retry:
        say(f"{again:,} get another chance")
    print_status(found)
    for one in listed:
        say(f"{one.kind} {one.id} (version {one.version}): {one.reason}")
    if failed and not listed:
        say("nothing was set aside")


@app.command()
@connected
def reembed(
    target: Target,
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
    with target.open() as rec:
        if cancel or clean_up:
            gone: Any = rec.cancel_reembed() if cancel else rec.clean_up()
            print_json({"deleted": gone}) if target.json else say(f"deleted: {gone or 'nothing'}")
            return
        options = {"model": model, "size": size, "pooling": pooling, "similarity": similarity}
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        if model and size is None:
            given["size"] = _size_of(given)
        if given and (number := rec._drive(live_with(rec._bound(), given))):
            same = {"version": number, "model": rec.config.encoder_id, "state": "live"}
            print_json(same) if target.json else say(
                f"version {number} ({same['model']}) is live already: nothing to do"
            )
            return
        if model and (weights := _weights_of(rec, model)):
            given["weights"] = weights
        job = rec.reembed(**given)
        found = _watch(job, target) if wait else job.progress()
    if target.json:
        print_json(found.model_dump(mode="json"))
    else:
        say(
            f"version {found.version} ({found.model}) is {found.state}: {found.items_done:,} of {found.items_total:,} "
            f"items, {found.users_done:,} of {found.users_total:,} users, {found.set_aside:,} set aside {found.reason}"
        )
        if "weights" in given:
            say(
                f"leg weights of this model: {', '.join(f'{leg} {weight:g}' for leg, weight in given['weights'].items())}"
            )
        if found.state == "live":
            say("back: llmrec rollback; when all is well: llmrec reembed --clean-up")
    if found.state == "failed":
        raise typer.Exit(1)


def _watch(job: Job, target: Target) -> Migration:
    with bar("re-embedding", None, quiet=target.json) as update:

        def tell(found: Migration) -> None:
            update(found.items_done + found.users_done, found.items_total + found.users_total)

        return job.wait(tell=tell)


@app.command()
@connected
def rollback(target: Target) -> None:
    """Switch back to the version before the last re-embedding.

    Example: llmrec rollback
    """
    with target.open() as rec:
        number = rec.rollback()
    print_json({"live": number}) if target.json else say(f"version {number} is live again")
