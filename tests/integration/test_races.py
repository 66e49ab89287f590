"""Clients and workers that change a space at the same time, in any order of their calls; `tests/races.py` says what must hold.

`RACES=600 pytest -s tests/integration/test_races.py` looks at more orders.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from qdrant_client import QdrantClient

from llmrec_qdrant import Recommender, SpaceConfig
from llmrec_qdrant.operations import reembed
from llmrec_qdrant.operations.reembed import VersionState
from llmrec_qdrant.operations.switching import switch
from llmrec_qdrant.testing import MemoryQueue
from tests.races import MAX_CALLS, Counter, Races

EXAMPLES = int(os.environ.get("RACES", "24"))
SHORT = settings(
    deadline=None, database=None, derandomize=True, report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


def _run(machine: type[Races], examples: int, steps: int) -> int:
    """Run a machine and return how many calls its processes made."""
    Counter.calls = 0
    run_state_machine_as_test(machine, settings=settings(SHORT, max_examples=examples, stateful_step_count=steps))
    print(f"{Counter.calls:,} calls")
    return Counter.calls


def test_embedded() -> None:
    assert _run(Races, EXAMPLES, 50) >= 5_000


@pytest.mark.qdrant
def test_on_a_server(qdrant_url: str) -> None:
    class OnServer(Races):
        def connect(self, name: str) -> Recommender:
            return Recommender.connect(qdrant_url, space=name)

    assert _run(OnServer, max(EXAMPLES // 8, 3), 25) >= 500


# --- two processes, every order with two changes of turn ---------------------------------------------


class Quick(Races):
    """The same on the pure Python mode of the Qdrant client, which creates a space in 20 ms; there are no jobs to end."""

    rounds = 1

    def connect(self, name: str) -> Recommender:
        return Recommender(QdrantClient(":memory:"), MemoryQueue(), name)


def history(versions: int) -> Races:
    """Return a space with as many complete versions; the last one is live, and all hold an item."""
    races = Quick()
    races.begin([8], past=0)
    races.finish(0)
    for number in range(2, versions + 1):
        config = SpaceConfig(model="hash", size=8 * number)
        races.drive(reembed.make_version(races.space, number, config, VersionState("done")))
        races.drive(switch(races.space, number))
    races.write("a", False)
    races.finish(0)
    return races


FEW, EACH = (2, 7, MAX_CALLS), (*range(1, 16), MAX_CALLS)
"""Calls of the second process between two of the first."""
Begin = Callable[[Races], None]
PAIRS: dict[str, tuple[int, Begin, Begin, Sequence[int]]] = {
    "clean up, roll back": (2, Races.clean_up, lambda races: races.rollback(None), FEW),
    "roll back, clean up": (2, lambda races: races.rollback(None), Races.clean_up, EACH),
    "clean up, clean up": (2, Races.clean_up, Races.clean_up, FEW),
    "roll back, roll back": (3, lambda races: races.rollback(1), lambda races: races.rollback(2), FEW),
    "clean up, create": (2, Races.clean_up, lambda races: races.create("lang"), FEW),
    "roll back, create": (2, lambda races: races.rollback(None), lambda races: races.create("lang"), FEW),
    "clean up, write": (2, Races.clean_up, lambda races: races.write("b", False), FEW),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_two_processes_in_every_order_with_two_changes_of_turn(pair: str) -> None:
    versions, first, second, pauses = PAIRS[pair]
    for before in range(MAX_CALLS):
        for between in pauses:
            races = history(versions)
            first(races)
            second(races)
            ended = _interleave(races, before, between)
            races.teardown()
        if ended:
            return


def _interleave(races: Races, before: int, between: int) -> bool:
    """Let the first of two processes make ``before`` calls, then the other ``between``; returns whether so many end the first."""
    first = races.running[0]
    races._advance_by(0, before)
    ended = first.ended
    races._advance_by(-1, between)
    return ended


def test_two_clients_that_create_a_space_in_every_order_with_two_changes_of_turn() -> None:
    for before in range(MAX_CALLS):
        for between in FEW:
            races = Quick()
            races.begin([8, 16], past=0)
            ended = _interleave(races, before, between)
            races.teardown()
        if ended:
            return
