"""``llmrec train``: a model of your own, from what your users did."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import Connected, app
from llmrec_qdrant.cli.options import Seed, SplitBy, Wait
from llmrec_qdrant.cli.printing import say
from llmrec_qdrant.cli.watching import report, run_job


class TrainingMethod(StrEnum):
    """What is trained, and on what."""

    TOWERS = "towers"
    ENCODER = "encoder"
    TEXTS = "texts"


Method = Annotated[TrainingMethod, typer.Option(help="What is trained, and on what; see above.")]
Epochs = Annotated[
    int | None, typer.Option(help="At most so many passes [towers 6, encoder 2, texts 1].", min=1, show_default=False)
]
Users = Annotated[
    int, typer.Option(help="How many random users to hold out: half to choose on, half to confirm on.", min=2)
]
IncludeSeen = Annotated[
    bool, typer.Option("--include-seen", help="Learn for lists that may repeat what a user had before.")
]
Split = Annotated[
    SplitBy,
    typer.Option(
        help="Hold out what each user took last, or (time) the last tenth of all events: then newer events count more. "
        "Needs true times."
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
    """Train a model on what the users of this space did, and keep it as a version of its own.

    towers: two small networks on top of the encoder, which stays as it is; minutes on a CPU.

    encoder: the encoder itself, on pairs of items that users took one after the other; wants a GPU, or hours.

    texts: the encoder, on the texts alone, where there is no behaviour yet.

    What users took last is held out (with --split time: the latest events). After each epoch real requests are sent for
    these users; the best epoch is kept. Other held-out users then say whether the model beats the one the space has: if not,
    it is kept but not offered. Your space is only read: `llmrec reembed --model VERSION` rolls a version out with the
    leg weights it was chosen with, and `llmrec rollback` takes it back. A training whose worker dies continues
    where it was.

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
    version, offered = result["version"], result["offered"]
    say(f"{version} is {'better' if offered else 'no better'} than the model that the space has: llmrec models")
    if offered:
        say(f"roll it out: llmrec reembed --model {version}")
