"""``llmrec train``: trains a model on the behaviour and texts of a space."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import Connected, app
from llmrec_qdrant.cli.job_table import verdict
from llmrec_qdrant.cli.options import Seed, SplitBy, Wait
from llmrec_qdrant.cli.printing import counted_as, figure, say
from llmrec_qdrant.cli.watching import report, run_job


class TrainingMethod(StrEnum):
    """What is trained, and on which data."""

    TOWERS = "towers"
    ENCODER = "encoder"
    TEXTS = "texts"


Method = Annotated[TrainingMethod, typer.Option(help="What is trained, and on which data; see above.")]
Epochs = Annotated[
    int | None,
    typer.Option(help="Maximum number of epochs [default: towers 6, encoder 2, texts 1].", min=1, show_default=False),
]
Users = Annotated[
    int, typer.Option(help="Number of sampled users: half choose the best epoch, half confirm the gain.", min=2)
]
IncludeSeen = Annotated[
    bool, typer.Option("--include-seen", help="Train for lists that may repeat items the user has taken before.")
]
Split = Annotated[
    SplitBy,
    typer.Option(
        help="Hold out each user's last item, or (time) the last tenth of all events; the latter gives newer events more "
        "weight and needs true event times."
    ),
]


@app.command(rich_help_panel="Better lists")
def train(
    context: Connected,
    method: Method = TrainingMethod.TOWERS,
    epochs: Epochs = None,
    users: Users = 1_000,
    include_seen: IncludeSeen = False,
    split: Split = SplitBy.LAST,
    seed: Seed = 0,
    wait: Wait = True,
) -> None:
    """Train a model on the behaviour and texts of this space, and store it as a new version.

    towers: two small networks on top of the unchanged encoder; minutes on a CPU.

    encoder: the encoder itself, on pairs of items that users took one after the other; needs a GPU, or hours.

    texts: the encoder itself, on texts alone, for a space without behaviour.

    Each user's last item is held out (with --split time: the latest events). After each epoch, real requests for half of
    the sampled users measure the model, and the best epoch wins. The other half then confirms whether the model beats
    the current one, by the lists of all legs; if they are worse, or so few users cannot tell, it is kept but not offered.
    The space is only read: `llmrec reembed --model VERSION` rolls
    a version out with its leg weights, and `llmrec rollback` takes it back. If the worker of a training dies, another
    worker resumes it. A training needs at least 40 users with two items or more.

    Example: llmrec train; llmrec models; llmrec reembed --model movies-towers-1
    """
    options: dict[str, Any] = {
        "epochs": epochs,
        "users": users,
        "exclude_seen": not include_seen,
        "split": split.value,
        "seed": seed,
    }
    with context.open() as rec:
        status = run_job(context, rec, "training", lambda: rec.train(method.value, **options), wait)
    report(context, status, _print)


def _print(result: dict[str, Any]) -> None:
    version, figures = result["version"], result["metrics"]
    say(f"{version}: {verdict(result)}; figures: llmrec models")
    if {"fused", "fused before", "gain of fused, 95 %", "at", "users"} <= figures.keys():
        before, after = figure(figures["fused before"]), figure(figures["fused"])
        low, high = (f"{bound:+.3f}" for bound in figures["gain of fused, 95 %"])
        users = counted_as(figures["users"], "held-out user")
        say(
            f"NDCG@{figures['at']} of the lists {before} → {after} on {users}; the difference is {low} to {high} (95 %)"
        )
    if result["offered"]:
        say(f"roll it out: llmrec reembed --model {version}")
