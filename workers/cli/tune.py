"""``llmrec tune``: settings of the space, chosen on its own users."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import Connected
from llmrec_qdrant.cli.options import Limit
from llmrec_qdrant.cli.printing import out, print_json, say, table_of
from llmrec_qdrant.cli.progress import bar
from llmrec_qdrant.query.options import check_limit

from .evaluate import figure
from .options import Seed

__all__ = ["tune"]


def tune(
    context: Connected,
    users: Annotated[
        int, typer.Option(help="How many random users: half to choose on, half to confirm on.", min=40)
    ] = 800,
    limit: Limit = 10,
    seed: Seed = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be stored, and store nothing.")] = False,
) -> None:
    """Choose leg weights, decays and event weights on your own users, and store them if they hold.

    One setting after the other takes a few values in a trial space. The gain is confirmed on held-out users: the half
    that took no part in choosing. `recommend` and `request` use what is stored at once; users' vectors follow. Settings
    belong to the whole space, whatever its tenants.

    Example: llmrec tune --dry-run
    """
    with context.open() as rec:
        with (
            bar("tuning", None, quiet=context.json) as update,
            rec.watch(lambda stage, done, total: update(done, total, stage)),
        ):
            job = rec.tune(users=users, limit=check_limit(limit), seed=seed, dry_run=dry_run)
        job.wait()
        tuned = job.result
    print_json(tuned) if context.json else _print(tuned)


def _print(tuned: dict[str, Any]) -> None:
    metric = f"NDCG@{tuned['limit']}"
    names = (metric, "values tried")
    table = table_of(f"chosen on {tuned['chosen_on']:,} users", ("setting", "chosen", *names), right=names)
    for step in tuned["steps"]:
        table.add_row(step["name"], _value(step["value"]), figure(step["ndcg"]), f"{step['tried']}")
    out.print(table)
    say(
        f"on {tuned['confirmed_on']:,} held-out users: {metric} {tuned['before']:.4f} → {tuned['after']:.4f} "
        f"(gain {tuned['low']:+.4f} to {tuned['high']:+.4f}, 95 %; p {tuned['p']:.3f})"
    )
    if tuned["stored"]:
        say("stored with the space")
    elif tuned["better"]:
        say("nothing stored: --dry-run")
    else:
        say("no gain beyond chance on held-out users: the space keeps its settings", "yellow")


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number:g}" for name, number in value.items())
    return f"{value:g}"
