"""Moves a space between two Qdrants, such as a folder on a laptop and a server.

A move copies points until a comparison of every point finds no difference, and only then sets the aliases, which make the
space visible. What has been copied is read from the target, so a move that was killed goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable

from llmrec_qdrant.contracts.answers import Moved
from llmrec_qdrant.errors import SpaceIncomplete
from llmrec_qdrant.operations.bound import refuse_tenant
from llmrec_qdrant.operations.moving.copying import Tally, transfer
from llmrec_qdrant.operations.moving.plan import MoveOptions, Plan, WhichVersions, read_plan
from llmrec_qdrant.operations.moving.sides import Side
from llmrec_qdrant.operations.moving.target import claim, prepare, publish
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.queues.base import OnProgress
from llmrec_qdrant.space.layout import Space

__all__ = ["MoveOptions", "Side", "WhichVersions", "pull", "push"]

MAX_ROUNDS = 3
"""Passes over all points: the first copies, the second compares, the third compares again what the second had to write."""


def push(here: Space, tenant: str | None, there: Side, options: MoveOptions) -> Steps[Moved]:
    """Copy the space of the recommender to another Qdrant; see :meth:`Recommender.push`."""
    refuse_tenant(tenant, "move it")
    return (yield from _move(Side(here), there, options))


def pull(here: Space, tenant: str | None, there: Side, options: MoveOptions) -> Steps[Moved]:
    """Copy a space of another Qdrant to that of the recommender; see :meth:`Recommender.pull`."""
    refuse_tenant(tenant, "move it")
    return (yield from _move(there, Side(here), options))


def _move(source: Side, target: Side, options: MoveOptions) -> Steps[Moved]:
    for side in (source, target):
        yield from side.reach()
    plan = yield from source.do(read_plan(source.space, options.versions))
    move = yield from claim(source, target, options.replace)
    yield from target.do(prepare(target.space, plan, move))
    rounds = yield from _until_equal(source, target, plan, options.on_progress)
    if (yield from source.do(read_plan(source.space, options.versions))) != plan:
        raise SpaceIncomplete(_unequal("its versions or settings were changed"))
    yield from target.do(publish(target.space, plan.live))
    return Moved(
        space=target.space.name,
        live=plan.live,
        versions=list(plan.versions),
        points=rounds[-1].points,
        written=sum(tally.written for tally in rounds),
        removed=sum(tally.removed for tally in rounds),
    )


def _until_equal(source: Side, target: Side, plan: Plan, show: OnProgress) -> Steps[list[Tally]]:
    """Copy and compare until a pass over all points finds no difference.

    Raises :class:`SpaceIncomplete` if the last pass still finds one.
    """
    rounds: list[Tally] = []
    while len(rounds) < MAX_ROUNDS:
        tally = yield from transfer(source, target, plan, _named("comparing" if rounds else "copying", show))
        rounds.append(tally)
        if not tally.difference:
            return rounds
    raise SpaceIncomplete(_unequal(f"{rounds[-1].difference} differed again after {MAX_ROUNDS} passes"))


def _unequal(reason: str) -> str:
    return (
        f"the space was written to while it was moved ({reason}), so the copy is not shown yet: stop what writes to it and run "
        "the same again, which copies only the difference"
    )


def _named(verb: str, show: OnProgress) -> Callable[[str, int, int], None]:
    return lambda collection, done, total: show(f"{verb} {collection}", done, total)
