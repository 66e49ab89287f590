"""``llmrec tune``: chooses settings of a space on its own users."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import Connected, app
from llmrec_qdrant.cli.options import Limit, Seed, Wait
from llmrec_qdrant.cli.printing import counted_as, figure, out, say, table_of
from llmrec_qdrant.cli.watching import report, run_job

Users = Annotated[
    int, typer.Option(help="Number of sampled users: half choose the settings, half confirm the gain.", min=40)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be stored, but store nothing.")]


@app.command(rich_help_panel="Better lists")
def tune(
    context: Connected,
    users: Users = 800,
    limit: Limit = 10,
    seed: Seed = 0,
    dry_run: DryRun = False,
    wait: Wait = True,
) -> None:
    """Choose leg weights, decays and event weights on your own users, and store them if the gain is confirmed.

    A trial space tries a few values of one setting after the other, on half of the users. The held-out half confirms the
    gain. `recommend` and `request` use new weights at once; workers update the users' vectors later. Settings apply to
    the whole space, to all its tenants. A tuning needs at least 40 users with two items or more.

    Example: llmrec tune --dry-run
    """
    with context.open() as rec:
        status = run_job(
            context, rec, "tuning",
            lambda: rec.tune(users=users, limit=limit, seed=seed, dry_run=dry_run), wait,
        )  # fmt: skip
    report(context, status, _print)


def _print(result: dict[str, Any]) -> None:
    metric = f"NDCG@{result['limit']}"
    names = (metric, "values tried")
    table = table_of(f"chosen on {counted_as(result['chosen_on'], 'user')}", ("setting", "chosen", *names), right=names)
    for step in result["steps"]:
        table.add_row(step["name"], _value(step["value"]), figure(step["ndcg"]), f"{step['tried']}")
    out.print(table)
    say(
        f"on {result['confirmed_on']:,} held-out users: {metric} {result['before']:.4f} → {result['after']:.4f} "
        f"(gain {result['low']:+.4f} to {result['high']:+.4f}, 95 %; p {result['p']:.3f})"
    )
    if result["stored"]:
        say("stored with the space: the gain is larger than its standard error")
    elif result["better"]:
        say("nothing stored (--dry-run): the gain is larger than its standard error, so without --dry-run it is stored")
    else:
        say("the gain on held-out users is no larger than its standard error: the space keeps its settings", "yellow")


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number:g}" for name, number in value.items())
    return f"{value:g}"
