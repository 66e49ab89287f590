"""``llmrec evaluate``: how good the lists are, measured on held-out events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import Connected
from llmrec_qdrant.cli.options import Limit, Seed, SplitBy
from llmrec_qdrant.cli.printing import counted_as, figure, out, print_json, say, table_of
from llmrec_qdrant.cli.progress import bar
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.query.options import check_limit
from llmrec_qdrant.space.layout import Space

__all__ = ["evaluate"]


Users = Annotated[int, typer.Option(help="How many random users to look at.", min=1)]
Split = Annotated[
    SplitBy,
    typer.Option(help="Hold out the items each user took last (last), or the latest events of all users (time)."),
]
Hide = Annotated[
    float | None, typer.Option(help="last: items per user [1]; time: share of all events [0.1].", show_default=False)
]


def evaluate(
    context: Connected,
    users: Users = 500,
    limit: Limit = 10,
    split: Split = SplitBy.LAST,
    hide: Hide = None,
    seed: Seed = 0,
) -> None:
    """Measure how good the lists are: hold out what users took last, recommend, and check whether the lists contain it.

    Everything is fitted on the remaining events, in a trial space that is deleted at the end. Your space is only read.
    The table compares `recommend` with each leg alone and with the most popular items. HR: share of users whose list has a
    hit; NDCG: a hit counts more the higher it ranks.

    Example: llmrec evaluate --users 1000

    Example: llmrec evaluate --split time --hide 0.2
    """
    from ..evaluation import evaluate as measuring
    from ..storage.store import SpaceStore

    held_out = _split(split, hide)
    with context.open() as rec, bar("evaluating", None, quiet=context.json) as update:
        measured = measuring.evaluate(
            SpaceStore(rec.client, Space(rec.space)), rec.config, users=users, limit=check_limit(limit), seed=seed, split=held_out,
            tenant=context.tenant, report=lambda stage, done, total: update(done, total, stage),
        )  # fmt: skip
    if context.json:
        rows = [asdict(row) for row in measured.rows]
        print_json({"limit": measured.limit, "users": measured.users, "rows": rows})
    else:
        _print(measured)


def _split(by: SplitBy, hide: float | None) -> Callable[..., Any]:
    from ..evaluation import splits

    if by is SplitBy.LAST:
        if hide is not None and not (hide >= 1 and hide.is_integer()):
            raise InvalidInput(f"--hide with --split last must be a whole number of items, at least 1, not {hide:g}")
        return partial(splits.hide_last, hide=int(hide or 1))
    if hide is not None and not 0 < hide < 1:
        raise InvalidInput(f"--hide with --split time must be a share of all events, between 0 and 1, not {hide:g}")
    return partial(splits.hide_latest, share=hide or 0.1)


def _print(measured: Any) -> None:
    from ..evaluation.metrics import MIN_USERS

    title = f"held-out items of {counted_as(measured.users, 'user')}, lists of {measured.limit}"
    names: Sequence[str] = ("HR", "recall", "NDCG", "95 %", "MRR", "MAP", "p", "users")
    table = table_of(title, ("", *names), right=names)
    for row in (row for row in measured.rows if not row.slice):
        means = [figure(value) for value in (row.hr, row.recall, row.ndcg)]
        rest = [figure(row.mrr), figure(row.map), figure(row.p, 3), f"{row.users:,}"]
        table.add_row(row.name, *means, f"{figure(row.low, 3)}–{figure(row.high, 3)}", *rest)
    out.print(table)
    if measured.users < MIN_USERS:
        say(f"fewer than {MIN_USERS} users: this is too few to tell which lists are better", "yellow")
    say("p: probability of an NDCG difference to `recommend` at least this large by chance", "dim")
    _print_slices(measured)
    names = ("coverage", "novelty", "diversity")
    table = table_of("beyond accuracy", ("", *names), right=names)
    for row in measured.rows:
        if row.coverage is not None:
            table.add_row(row.name, *(figure(value, 2) for value in (row.coverage, row.novelty, row.diversity)))
    out.print(table)
    say(
        "coverage: share of the catalogue that appears in any list; novelty: in bits, higher is less popular; "
        "diversity: mean of 1 - cosine within a list", "dim",
    )  # fmt: skip


def _print_slices(measured: Any) -> None:
    """Print NDCG of each way to recommend for cold and warm items and users."""
    ways = [row.name for row in measured.rows if not row.slice]
    table = table_of("NDCG with its 95 % interval, by slice", ("", *ways, "users"), right=(*ways, "users"))
    slices: dict[str, list[Any]] = {}
    for row in (row for row in measured.rows if row.slice):
        slices.setdefault(row.slice, []).append(row)
    for name, rows in slices.items():
        cells = [f"{figure(row.ndcg, 3)}\n{figure(row.low, 3)}–{figure(row.high, 3)}" for row in rows]
        table.add_row(name, *cells, f"{rows[0].users:,}")
    if slices:
        out.print(table)
