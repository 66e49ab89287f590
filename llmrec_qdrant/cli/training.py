"""The commands about models of one's own: ``train`` and ``models``."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import Target, app, connected
from llmrec_qdrant.cli.printing import out, print_json, say, table_of
from llmrec_qdrant.cli.progress import bar
from llmrec_qdrant.cli.quality import Way
from llmrec_qdrant.contracts.jobs import TrainingJob
from llmrec_qdrant.operations import training
from llmrec_qdrant.queues.inline import worker_module
from llmrec_qdrant.recommender import Recommender
from llmrec_qdrant.space.layout import DENSE

__all__ = ["models", "train"]


FIGURES = (DENSE, f"{DENSE} before", "fused", "fused before")
"""NDCG of the dense leg alone and of all legs, of a model and of the one the space had."""


class How(StrEnum):
    """What is trained, and on what."""

    TOWERS = "towers"
    ENCODER = "encoder"
    TEXTS = "texts"


@app.command()
@connected
def train(
    target: Target,
    method: Annotated[How, typer.Option(help="What is trained, and on what.")] = How.TOWERS,
    epochs: Annotated[
        int | None,
        typer.Option(help="At most so many times over the examples; left out: towers 6, encoder 2, texts 1.", min=1),
    ] = None,
    users: Annotated[
        int, typer.Option(help="Random users to look at: half to choose on, half to confirm on.", min=2)
    ] = 1_000,
    seen: Annotated[
        bool, typer.Option("--include-seen", help="Your lists may hold what a user took before: learn for such lists.")
    ] = False,
    split: Annotated[
        Way,
        typer.Option(
            help="Hide what each user took last; or, where the times of events are true for all, the last tenth of all "
            "events: newer ones then teach more."
        ),
    ] = Way.LAST,
    seed: Annotated[int, typer.Option(help="Seed of everything that is random.", min=0)] = 0,
    status: Annotated[
        bool, typer.Option("--status", help="Show how far the last training is, and start none.")
    ] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Give up the training under way.")] = False,
) -> None:
    """Train a model on what the users of this space did, and keep it as a version of its own.

    towers: two small networks on top of the encoder, which stays as it is; minutes on a CPU. encoder: the encoder itself,
    on pairs of what was done and what was taken next; wants a GPU, or hours. texts: the encoder, on the texts
    alone, where there is no behaviour yet.

    What users took last is hidden (or the latest events, with --split time, where behaviour changes with the seasons);
    after each epoch real requests are asked for it, and the best epoch is kept. Users that nothing was chosen on say
    whether it beats the model the space has: if not, it is kept but not offered. Your space is only read: `llmrec
    reembed --model VERSION` rolls a version out with the leg weights it was chosen with, and `llmrec rollback` takes it
    back. Interrupted or killed, it goes on where it was: run the same command again.

    Example: llmrec train; llmrec models; llmrec reembed --model movies-towers-1
    """
    wanted = {
        "method": method.value, "epochs": epochs, "users": users, "exclude_seen": not seen, "split": split.value, "seed": seed,
    }  # fmt: skip
    with target.open() as rec:
        if cancel:
            given_up = rec.cancel_training()
            print_json({"cancelled": given_up}) if target.json else say(
                "given up" if given_up else "nothing is trained"
            )
            return
        if status:
            job = rec.training()
        elif target.connection["broker"]:
            job = rec._drive(training.start(rec._bound(), wanted))
        else:
            job = _here(rec, wanted, target)
    if target.json:
        print_json(job.model_dump(mode="json") if job else None)
    else:
        _print(job)
    if job and job.stage == "failed" and not status:
        raise typer.Exit(1)


def _here(rec: Recommender, wanted: dict[str, Any], target: Target) -> TrainingJob | None:
    """In this process, as there is no worker."""
    trainings = worker_module("training.job")
    job = rec._drive(training.start(rec._bound(), wanted, tell=False))
    with bar("training", None, target.json) as update:
        trainings.work(
            rec.client,
            rec._drive(training.live(rec._space)),
            rec.config,
            tell=lambda what, done, total: update(done, total),
            take=True,
        )
    return rec.training() or job


def _print(job: TrainingJob | None) -> None:
    if job is None:
        say("nothing was trained yet: llmrec train")
    elif job.stage == "done":
        worth = "better than the model the space has" if job.offered else "no better than the model the space has"
        say(
            f"{job.version} is {worth}: llmrec models"
            + (f"; llmrec reembed --model {job.version}" if job.offered else "")
        )
    elif job.stage == "failed":
        say(f"the training failed: {job.reason}", "red")
    else:
        share = f" {job.steps:,} of {job.total:,} steps" if job.total else ""
        say(f"{job.method}: {job.stage}{share} {job.says} {job.reason}".rstrip() + "; watch `llmrec train --status`")


@app.command()
@connected
def models(target: Target, everywhere: Annotated[bool, typer.Option("--all", help="Of all spaces.")] = False) -> None:
    """List the trained models of the space, with what they are worth on users nothing was chosen on.

    Example: llmrec models; llmrec reembed --model movies-towers-1
    """
    registry = worker_module("encoding.registry")
    with target.open() as rec:
        found = registry.versions(None if everywhere else rec.space)
        live = rec.config.model
    if target.json:
        print_json([{**asdict(one), "live": one.name == live} for one in found])
        return
    if not found:
        say("nothing was trained yet: llmrec train")
        return
    table = table_of("NDCG on users nothing was chosen on")
    for name in ("model", DENSE, "was", "fused", "was", "numbers", "made", ""):
        table.add_column(name, justify="right" if name in {DENSE, "was", "fused", "numbers"} else "left")
    for one in found:
        state = "live" if one.name == live else "offered" if one.offered else "kept, not better"
        table.add_row(
            one.name, *(f"{one.metrics.get(name, 0):.4f}" for name in FIGURES), f"{one.size}", one.made_at[:16], state
        )
    out.print(table)
