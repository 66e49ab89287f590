"""A state machine of clients and workers that create, re-embed, cancel, roll back, clean up and write at the same time, call by call in any order.

After every single call: the aliases name one complete version, its collections have the dimension that its settings say, and it
holds every acknowledged write. In the end all versions hold the same.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from llmrec_qdrant import Item, Recommender, SpaceConfig
from llmrec_qdrant.contracts.messages import Message, Reconcile
from llmrec_qdrant.operations import items as item_operations
from llmrec_qdrant.operations import jobs, reembed
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.creating import configure
from llmrec_qdrant.operations.steps import Steps, drive
from llmrec_qdrant.operations.versions import VERSIONED
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.testing import MemoryQueue
from tests.processes import Operation, Process, Threaded, run_all
from tests.spaces import fresh_name
from workers.dispatch import Worker
from workers.storage import lease

NAMES = ["a", "b", "c"]
MAX_PROCESSES = 4
MAX_MESSAGES = 60
MAX_CALLS = 10_000


class Counter:
    """Calls that were made in all runs of a machine."""

    calls = 0


def work(space: str, client: Any) -> None:
    """Look for work and do it, with what follows from it."""
    waiting: deque[Message] = deque([Reconcile(space=space, everything=True)])
    for _ in range(MAX_MESSAGES):
        if not waiting:
            return
        waiting.extend(Worker(client).run(waiting.popleft()))


class Races(RuleBasedStateMachine):
    """The model: per item, the titles that it may have now; None for an item that may be missing."""

    rounds = 4
    """Times that workers look for work in the end."""

    def connect(self, name: str) -> Recommender:
        """Open a Qdrant for a space of this name."""
        return Recommender.connect(path=":memory:", space=name)

    @initialize(sizes=st.lists(st.sampled_from([8, 16]), min_size=1, max_size=2), past=st.sampled_from([0, 1, 2, 2, 3]))
    def begin(self, sizes: list[int], past: int) -> None:
        """Clients create the space, or it has as many versions already; of three, the last one is not filled yet."""
        self.rec = self.connect(fresh_name())
        self.space, self.client = self.rec._space, self.rec.client
        self.queue = MemoryQueue()
        self.running: list[Process] = []
        self.log: list[str] = []
        self.created = False
        self.writes = 0
        self.items: dict[str, set[str | None]] = {name: {None} for name in NAMES}
        for size in sizes[: 1 if past else 2]:
            self._operate(f"create({size})", configure(self.space, {"model": "hash", "size": size}))
        if past:
            self._finish_all()
            self.write("a", False)
            self._finish_all()
        for size in range(20, 19 + past):
            self.reembed(size)
            self._finish_all()
            while size < 21 and any(job.active for job in self.rec.jobs()):
                self.work()
                self._finish_all()

    # --- processes begin ----------------------------------------------------------------------

    def _begin(self, process: Process) -> None:
        self.log.append(f"{process.name} begins")
        self.running.append(process)

    def _operate(self, name: str, steps: Steps[Any]) -> None:
        if len(self.running) < MAX_PROCESSES:
            self._begin(Operation(name, steps, self.client, self.queue))

    @rule(field=st.sampled_from(["year", "lang"]))
    def create(self, field: str) -> None:
        """An application starts."""
        self._operate(f"create({field})", configure(self.space, {"fields": {field: "keyword"}, "model": "hash"}))

    @rule(size=st.sampled_from([8, 16, 24]))
    def reembed(self, size: int) -> None:
        self._operate(f"reembed({size})", reembed.start(self.space, None, {"size": size}, inline=False))

    @rule(version=st.sampled_from([None, None, 1, 2, 3]))
    def rollback(self, version: int | None) -> None:
        self._operate(f"rollback({version})", reembed.rollback(self.space, version))

    @rule()
    def clean_up(self) -> None:
        self._operate("clean_up", reembed.clean_up(self.space))

    @rule(number=st.integers(1, 3))
    def cancel(self, number: int) -> None:
        self._operate(f"cancel({number})", jobs.cancel(self.space, f"reembed-{number}"))

    @rule()
    def work(self) -> None:
        if len(self.running) < MAX_PROCESSES:
            self._begin(Threaded("worker", partial(work, self.space.name), self.client))

    @rule(name=st.sampled_from(NAMES), delete=st.booleans())
    def write(self, name: str, delete: bool) -> None:
        """A client stores or deletes an item; nobody else writes to it meanwhile."""
        busy = {process.name.partition(" ")[2] for process in self.running}
        if name in busy or len(self.running) >= MAX_PROCESSES:
            return
        self.writes += 1
        title = None if delete else f"film{self.writes}"
        bound = Bound(self.space, SpaceConfig(model="hash", size=16))
        steps = (
            item_operations.delete_items(bound, [name])
            if title is None
            else item_operations.upsert_items(bound, [Item(id=name, title=title)])
        )
        self.items[name] = self.items[name] | {title}
        self._operate(f"{'delete' if delete else 'upsert'}:{title} {name}", steps)

    # --- processes go on ----------------------------------------------------------------------

    @rule(which=st.integers(0, MAX_PROCESSES - 1), calls=st.integers(1, 5))
    def advance_a_little(self, which: int, calls: int) -> None:
        self._advance_by(which, calls)

    @rule(which=st.integers(0, MAX_PROCESSES - 1), calls=st.integers(5, 40))
    def advance_far(self, which: int, calls: int) -> None:
        self._advance_by(which, calls)

    @rule(which=st.integers(0, MAX_PROCESSES - 1))
    def finish(self, which: int) -> None:
        self._advance_by(which, MAX_CALLS)

    def _advance_by(self, which: int, calls: int) -> None:
        if not self.running:
            return
        process = self.running[which % len(self.running)]
        for _ in range(calls):
            if not process.ended:
                self._advance(process)

    def drive(self, steps: Steps[Any]) -> None:
        """Run steps that nobody disturbs."""
        drive(steps, self.client, self.queue)

    def _finish_all(self) -> None:
        while self.running:
            self._advance(self.running[0])

    @rule(which=st.integers(0, MAX_PROCESSES - 1), really=st.integers(0, 5))
    def crash(self, which: int, really: int) -> None:
        if self.running and not really:
            process = self.running[which % len(self.running)]
            self.log.append(f"{process.name} dies")
            process.crash()
            self.running.remove(process)

    def _advance(self, process: Process) -> None:
        if process.waits:  # whoever sleeps outlasts the calls of the others
            others = [other for other in self.running if other is not process and not other.waits]
            for other in others:
                while not other.ended and not other.waits:
                    self._call(other)
        if not process.ended:
            self._call(process)

    def _call(self, process: Process) -> None:
        Counter.calls += 1
        process.advance()
        self.log.append(str(process))
        if process.ended:
            self.running.remove(process)
            self._end(process)
        self._check()

    def _end(self, process: Process) -> None:
        if process.error is not None:
            self.log.append(f"{process.name}: {process.error}")
        elif process.name.startswith("create"):
            self.created = True
        elif process.name.startswith(("upsert", "delete")):
            kind, _, name = process.name.partition(" ")
            title = kind.partition(":")[2]
            self.items[name] = {None if title == "None" else title}

    # --- what always holds --------------------------------------------------------------------

    def _check(self) -> None:
        names = {collection.name for collection in self.client.get_collections().collections}
        aliases = {alias.alias_name: alias.collection_name for alias in self.client.get_aliases().aliases}
        self._check_dimensions(names)
        if not self.created:
            return
        live = [aliases.get(self.space.alias(kind), "none") for kind in VERSIONED]
        assert len({name.rpartition("_v")[2] for name in live}) == 1 and set(live) <= names, (live, self.log)
        found = self._titles(self.space.items)
        for name, titles in self.items.items():
            assert found.get(name) in titles, (name, titles, found, self.log)

    def _titles(self, collection: str) -> dict[str, str]:
        stored = self.client.retrieve(collection, [point_id("item", name, None) for name in NAMES], with_payload=True)
        return {point.payload["item_id"]: point.payload["title"] for point in stored if point.payload}

    def _check_dimensions(self, names: set[str]) -> None:
        versions = {name.rpartition("_v")[2] for name in names if name.startswith(f"{self.space.items}_v")}
        for number in versions:
            info = self.client.get_collection(self.space.versioned("items", int(number)))
            size = (info.config.metadata or {})["llmrec"]["config"]["size"]
            for kind in VERSIONED:
                name = self.space.versioned(kind, int(number))
                if name in names:
                    vectors: Any = self.client.get_collection(name).config.params.vectors
                    assert vectors["dense"].size == size, (name, size, self.log)

    # --- the end ------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "rec"):
            return
        try:
            self._settle()
        finally:
            for process in self.running:
                process.crash()
            names = [collection.name for collection in self.client.get_collections().collections]
            for name in names:
                if name.startswith(f"{self.space.name}_"):
                    self.client.delete_collection(name)
            self.rec.close()

    def _settle(self) -> None:
        """Everybody ends; then workers do what is left, and all versions hold the same."""
        self._finish_all()
        if not self.created:
            return
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(lease, "JOB_LEASE_SECONDS", 0.0)  # the leases of dead workers run out
            for _ in range(self.rounds):
                worker = Threaded("last worker", partial(work, self.space.name), self.client)
                run_all([worker])
                assert worker.error is None, (worker.error, self.log)
        self._check()
        for name in {collection.name for collection in self.client.get_collections().collections}:
            if name.startswith(f"{self.space.items}_v"):
                assert self._titles(name) == self._titles(self.space.items), (name, self.log)
        assert all(not job.active for job in self.rec.jobs()), self.rec.jobs()
