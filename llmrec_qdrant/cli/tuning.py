"""``llmrec tune``: chooses settings of a space on its own users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from llmrec_qdrant.cli.app import Connected, app
from llmrec_qdrant.cli.options import Limit, Seed, Wait
from llmrec_qdrant.cli.printing import counted_as, out, say, table_of
from llmrec_qdrant.cli.watching import report, run_job

BAR = 20
"""Characters of the longest bar."""
Users = Annotated[
    int, typer.Option(help="Number of sampled users: half choose the settings, half confirm the gain.", min=40)
]
Minutes = Annotated[float, typer.Option(help="Time to search for.", min=0.1, max=10_000)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be stored, but store nothing.")]


@app.command(rich_help_panel="Better lists")
def tune(
    context: Connected,
    users: Users = 800,
    limit: Limit = 10,
    minutes: Minutes = 30,
    seed: Seed = 0,
    dry_run: DryRun = False,
    wait: Wait = True,
) -> None:
    """Choose leg weights, decays and event weights on your own users, and store them if the gain is confirmed.

    A trial space tries settings together, on half of the users, for the time you give it; most proposals are dropped after a
    few of them. Each change is then put back unless lists lose by it, and the held-out half confirms what is left. If the
    worker dies, another goes on with what was tried. `recommend` and `request` use new weights at once; workers update the users' vectors later. Settings apply to
    the whole space, to all its tenants. A tuning needs at least 40 users with two items or more.

    Example: llmrec tune --dry-run
    """
    with context.open() as rec:
        status = run_job(
            context, rec, "tuning",
            lambda: rec.tune(users=users, limit=limit, minutes=minutes, seed=seed, dry_run=dry_run), wait,
        )  # fmt: skip
    report(context, status, _print)


def _print(result: dict[str, Any]) -> None:
    metric = f"NDCG@{result['limit']}"
    say(f"{counted_as(result['tried'], 'configuration')} tried on {counted_as(result['chosen_on'], 'user')}")
    if result["steps"]:
        out.print(_settings(result["steps"], metric))
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


def _settings(steps: Sequence[Mapping[str, Any]], metric: str) -> Table:
    """Return a table of the settings that the best configuration changed, with what each is worth as a bar."""
    names = (f"adds to {metric}", "95 %")
    table = table_of("what mattered: each setting put back alone", ("setting", "value", *names, ""), right=names)
    most = max(step["gain"] for step in steps)
    for step in sorted(steps, key=lambda step: -step["gain"]):
        bar = "█" * round(BAR * max(0.0, step["gain"]) / most) if most > 0 else ""
        between = f"{step['low']:+.4f} to {step['high']:+.4f}"
        kept = bar if step["kept"] else "put back"
        table.add_row(step["name"], _value(step["value"]), f"{step['gain']:+.4f}", between, kept)
    return table


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number:g}" for name, number in value.items())
    return f"{value:g}"
