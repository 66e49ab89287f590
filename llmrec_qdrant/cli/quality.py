"""The commands about how good lists are: ``evaluate`` and ``tune``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import typer
from rich.table import Table

from llmrec_qdrant.cli.app import Limit, Target, app, connected
from llmrec_qdrant.cli.printing import out, print_json, say, table_of
from llmrec_qdrant.cli.progress import bar
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.query.requests import check_limit
from llmrec_qdrant.queues.inline import worker_module

__all__ = ["Way", "evaluate", "tune"]


class Way(StrEnum):
    """How the future is cut off."""

    LAST = "last"
    TIME = "time"


Seed = Annotated[int, typer.Option(help="Seed of the sample.")]


@app.command()
@connected
def evaluate(
    target: Target,
    users: Annotated[int, typer.Option(help="Random users to look at.", min=1)] = 500,
    limit: Limit = 10,
    split: Annotated[Way, typer.Option(help="Hide what each user took last, or what everybody did lately.")] = Way.LAST,
    hide: Annotated[
        float | None, typer.Option(help="last: how many items of each user [1]; time: share of all events [0.1].")
    ] = None,
    seed: Seed = 0,
) -> None:
    """How good the lists are: hides what users took last, and looks whether it is recommended.

    Everything is fitted anew on the past alone, in a trial space that is deleted at the end; yours is only read.

    Example: llmrec evaluate --users 1000; llmrec evaluate --split time --hide 0.2
    """
    parts = _split(split, hide)
    measuring = worker_module("evaluation.evaluate")
    with target.open() as rec, bar("evaluating", None, target.json) as update:
        found = measuring.evaluate(
            rec.client, rec._space, rec.config, users=users, limit=check_limit(limit), seed=seed, split=parts,
            tenant=target.connection["tenant"], tell=lambda what, done, total: update(done, total, what),
        )  # fmt: skip
    if target.json:
        print_json({"limit": found.limit, "users": found.users, "rows": [asdict(one) for one in found.rows]})
        return
    print_evaluation(found)


def _split(way: Way, hide: float | None) -> Any:
    trials = worker_module("evaluation.splits")
    if way is Way.LAST:
        if hide is not None and not (hide >= 1 and hide.is_integer()):
            raise InvalidInput(f"--hide with --split last is a number of items, 1 or more, not {hide:g}")
        return partial(trials.hide_last, hide=int(hide or 1))
    if hide is not None and not 0 < hide < 1:
        raise InvalidInput(f"--hide with --split time is a share of all events between 0 and 1, not {hide:g}")
    return partial(trials.hide_latest, share=hide or 0.1)


@app.command()
@connected
def tune(
    target: Target,
    users: Annotated[int, typer.Option(help="Random users: half to choose on, half to confirm on.", min=40)] = 800,
    limit: Limit = 10,
    seed: Seed = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be stored, and store nothing.")] = False,
) -> None:
    """Choose leg weights, decays and event weights on your own users, and store them if they hold.

    One setting after the other takes a few values in a trial space; half of the users, on whom nothing was chosen,
    confirm the gain. `recommend` and `request` use what is stored at once; users' vectors follow. Settings are of the
    whole space, whatever its tenants.

    Example: llmrec tune --dry-run; llmrec tune
    """
    tuning = worker_module("evaluation.tune")
    with target.open() as rec:
        with bar("tuning", None, target.json) as update:
            found = tuning.tune(
                rec.client, rec._space, rec.config, users=users, limit=check_limit(limit), seed=seed,
                tell=lambda what, done, total: update(done, total, what),
            )  # fmt: skip
        stored = found.better and not dry_run
        if stored:
            rec._config = None  # tuning takes a while: change what the space has by now
            rec.create(found.onto(rec.config))
    if target.json:
        print_json({"changes": found.changes, **_figures(found), "stored": stored})
        return
    print_tuning(found, stored)


def _figures(found: Any) -> dict[str, Any]:
    names = ("limit", "chosen_on", "confirmed_on", "before", "after", "low", "high", "p")
    return {**{name: getattr(found, name) for name in names}, "steps": [asdict(one) for one in found.steps]}


def print_evaluation(found: Any) -> None:
    """The tables of ``llmrec evaluate``."""
    title = f"what {found.users:,} users took, hidden and asked for: lists of {found.limit}"
    table = _table(title, ("", "HR", "recall", "NDCG", "95 %", "MRR", "MAP", "p", "users"))
    for row in found.rows:
        means = [_short(value) for value in (row.hr, row.recall, row.ndcg)]
        rest = [_short(row.mrr), _short(row.map), _short(row.p, 3), f"{row.users:,}"]
        table.add_row(row.name, *means, f"{_short(row.low, 3)}–{_short(row.high, 3)}", *rest)
    out.print(table)
    say("p: chance of so large a difference in NDCG to recommend by accident", "dim")
    table = _table("beside accuracy", ("", "coverage", "novelty", "diversity"))
    for row in found.rows:
        if row.coverage is not None:
            table.add_row(row.name, *(_short(value, 2) for value in (row.coverage, row.novelty, row.diversity)))
    out.print(table)
    say("share of the catalogue in any list; bits, more is less popular; mean of 1 - cosine within a list", "dim")


def _table(title: str, names: Sequence[str]) -> Table:
    table = table_of(title)
    for number, name in enumerate(names):
        table.add_column(name, justify="right" if number else "left", no_wrap=number > 0)
    return table


def _short(value: float | None, digits: int = 4) -> str:
    return "" if value is None else f"{value:.{digits}f}".removeprefix("0")


def print_tuning(found: Any, stored: bool) -> None:
    """The table of ``llmrec tune``."""
    k = found.limit
    table = _table(f"chosen on {found.chosen_on:,} users", ("setting", "kept", f"NDCG@{k}", "values tried"))
    for step in found.steps:
        table.add_row(step.name, _value(step.value), _short(step.ndcg), f"{step.tried}")
    out.print(table)
    say(
        f"on {found.confirmed_on:,} other users: NDCG@{k} {found.before:.4f} → {found.after:.4f} "
        f"(gain {found.low:+.4f} to {found.high:+.4f}, 95 %; p {found.p:.3f})"
    )
    if stored:
        say("stored with the space")
    elif found.better:
        say("nothing stored: --dry-run")
    else:
        say("no gain beyond chance on the users nothing was chosen on: the space keeps its settings", "yellow")


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number:g}" for name, number in value.items())
    return f"{value:g}"
