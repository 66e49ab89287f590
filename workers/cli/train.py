"""``llmrec train`` and ``llmrec models``: models of your own."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import Connected
from llmrec_qdrant.cli.printing import out, print_json, say, table_of
from llmrec_qdrant.cli.progress import bar
from llmrec_qdrant.contracts.jobs import JobStatus
from llmrec_qdrant.space.layout import DENSE

from .options import Seed, SplitBy

__all__ = ["models", "train"]


FIGURES = (DENSE, f"{DENSE} before", "fused", "fused before")
"""NDCG of the dense leg alone and of all legs, each with the model and with the one that the space had."""


class TrainingMethod(StrEnum):
    """What is trained, and on what."""

    TOWERS = "towers"
    ENCODER = "encoder"
    TEXTS = "texts"


def train(
    context: Connected,
    method: Annotated[
        TrainingMethod, typer.Option(help="What is trained, and on what; see above.")
    ] = TrainingMethod.TOWERS,
    epochs: Annotated[
        int | None,
        typer.Option(help="At most so many passes [towers 6, encoder 2, texts 1].", min=1, show_default=False),
    ] = None,
    users: Annotated[
        int, typer.Option(help="How many random users to hold out: half to choose on, half to confirm on.", min=2)
    ] = 1_000,
    seen: Annotated[
        bool, typer.Option("--include-seen", help="Learn for lists that may repeat what a user had before.")
    ] = False,
    split: Annotated[
        SplitBy,
        typer.Option(
            help="Hold out what each user took last, or (time) the last tenth of all events: then newer events count "
            "more. Needs true times."
        ),
    ] = SplitBy.LAST,
    seed: Seed = 0,
    status: Annotated[
        bool, typer.Option("--status", help="Show how far the last training is, and start none.")
    ] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Give up the training under way.")] = False,
) -> None:
    """Train a model on what the users of this space did, and keep it as a version of its own.

    towers: two small networks on top of the encoder, which stays as it is; minutes on a CPU.

    encoder: the encoder itself, on pairs of items that users took one after the other; wants a GPU, or hours.

    texts: the encoder, on the texts alone, where there is no behaviour yet.

    What users took last is held out (with --split time: the latest events). After each epoch real requests are sent for these users;
    the best epoch is kept. Other held-out users then say whether the model beats the one the space has: if not, it is
    kept but not offered. Your space is only read: `llmrec reembed --model VERSION` rolls a version out together with the leg weights
    it was chosen with, and `llmrec rollback` takes it back. Interrupted? Run the same command again: it continues.

    Example: llmrec train; llmrec models; llmrec reembed --model movies-towers-1
    """
    wanted: dict[str, Any] = {
        "method": method.value, "epochs": epochs, "users": users, "exclude_seen": not seen, "split": split.value, "seed": seed,
    }  # fmt: skip
    with context.open() as rec:
        if cancel:
            given_up = any(rec.job(one.id).cancel() for one in rec.jobs() if one.kind == "train" and one.active)
            print_json({"cancelled": given_up}) if context.json else say(
                "given up" if given_up else "nothing is trained"
            )
            return
        if status:
            job = next((one for one in rec.jobs() if one.kind == "train"), None)
        else:
            with (
                bar("training", None, context.json) as update,
                rec.watch(lambda stage, done, total: update(done, total, stage)),
            ):
                job = rec.train(**wanted).progress()
    if context.json:
        print_json(job.model_dump(mode="json") if job else None)
    else:
        _print(job)
    if job and job.state == "failed" and not status:
        raise typer.Exit(1)


def _print(job: JobStatus | None) -> None:
    if job is None:
        say("nothing was trained yet: llmrec train")
    elif job.result is not None:
        version, offered = job.result["version"], job.result["offered"]
        worth = "better than the model the space has" if offered else "no better than the model the space has"
        say(f"{version} is {worth}: llmrec models" + (f"; llmrec reembed --model {version}" if offered else ""))
    elif job.state == "failed":
        say(f"the training failed: {job.reason}", "red")
    else:
        share = f" {job.done:,.0f} of {job.total:,.0f} steps" if job.total else ""
        text = f"{job.id}: {job.state} {job.stage}{share} {job.note} {job.reason}"
        say(" ".join(text.split()) + "; watch `llmrec train --status`")


def models(
    context: Connected, everywhere: Annotated[bool, typer.Option("--all", help="Those of all spaces.")] = False
) -> None:
    """List the trained models of the space, with their NDCG on held-out users.

    Example: llmrec models; llmrec reembed --model movies-towers-1
    """
    from ..encoding import registry

    with context.open() as rec:
        versions = registry.versions(None if everywhere else rec.space)
        live = rec.config.model
    if context.json:
        print_json([{**asdict(version), "live": version.name == live} for version in versions])
        return
    if not versions:
        say("nothing was trained yet: llmrec train")
        return
    table = table_of("NDCG on held-out users: the model, and what the space had before")
    for name in ("model", DENSE, "before", "fused", "before", "dimension", "trained", ""):
        table.add_column(name, justify="left" if name in {"model", "trained", ""} else "right")
    for version in versions:
        state = "live" if version.name == live else "offered" if version.offered else "kept, not better"
        figures = [f"{version.metrics.get(name, 0):.4f}" for name in FIGURES]
        table.add_row(version.name, *figures, f"{version.size}", version.made_at[:16], state)
    out.print(table)
