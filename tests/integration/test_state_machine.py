"""Any order of writes, work, crashes, re-embedding, switches and rollbacks ends in the state the writes say.

A crash is a worker or a writer that stops after any one of its steps: its client raises at a chosen call.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from llmrec_qdrant import Event, Item, NotFound, Recommender, SpaceConfig, SpaceMismatch
from llmrec_qdrant.operations.steps import drive
from llmrec_qdrant.operations.versions import versions
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.space.layout import COLLECTION_KINDS
from llmrec_qdrant.testing import HashEncoder, MemoryQueue
from tests.spaces import fresh_name, merged, store_of
from workers.dispatch import Worker
from workers.reconcile import reconcile
from workers.storage import lease
from workers.storage.store import SpaceStore

NAMES = [f"i{k}" for k in range(6)]
USERS = ["ann", "bob", "cat"]
WORDS = st.sampled_from(["space war", "garden love", "robot river", "科幻 电影", ""])


class Crash(BaseException):
    """The process is gone."""


class Mortal:
    """A client that dies at its n-th call, before or after it was carried out."""

    def __init__(self, client: Any, calls: int, after: bool) -> None:
        self._client, self._left, self._after = client, calls, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if not callable(method):
            return method

        def called(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left < 0 and not self._after:
                raise Crash
            answer = method(*args, **kwargs)
            if self._left < 0:
                raise Crash
            return answer

        return called


class Space(RuleBasedStateMachine):
    """The model: acknowledged items and events."""

    where: dict[str, str] = {"path": ":memory:"}  # noqa: RUF012

    @initialize()
    def create(self) -> None:
        self.rec = Recommender.connect(**self.where, space=fresh_name())
        self.rec._queue = MemoryQueue()
        self.rec.create(SpaceConfig(model="hash", size=16))
        self.items: dict[str, str] = {}
        self.events: dict[str, dict[str, Event]] = {}
        self.clock = 1_700_000_000

    def _write(self, crash: int | None, after: bool, write: Any) -> None:
        """Do a write; a writer that dies on the way comes back and repeats it, as nobody acknowledged it."""
        if crash is not None:
            dying = Recommender(Mortal(self.rec.client, crash, after), self.rec._queue, self.rec.space)
            dying._config, dying._config_at = self.rec.config, float("inf")
            with contextlib.suppress(Crash):
                write(dying)
        write(self.rec)

    crashes = st.one_of(st.none(), st.integers(0, 12))

    @rule(
        names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4), text=WORDS, crash=crashes, after=st.booleans()
    )
    def upsert(self, names: list[str], text: str, crash: int | None, after: bool) -> None:
        batch = [Item(id=name, title=f"{text} {name}".strip() if text else "") for name in dict.fromkeys(names)]
        self._write(crash, after, lambda rec: rec.upsert_items(batch))
        self.items |= {one.id: one.title for one in batch}

    @rule(name=st.sampled_from(NAMES), crash=crashes, after=st.booleans())
    def delete(self, name: str, crash: int | None, after: bool) -> None:
        self._write(crash, after, lambda rec: rec.delete_items([name]))
        self.items.pop(name, None)

    @rule(user=st.sampled_from(USERS), name=st.sampled_from(NAMES), text=WORDS, crash=crashes, after=st.booleans())
    def track(self, user: str, name: str, text: str, crash: int | None, after: bool) -> None:
        self.clock += 1
        event = Event(user=user, type="review" if text else "view", item=name, text=text, ts=self.clock)
        self._write(crash, after, lambda rec: rec.track([event]))
        self.events.setdefault(user, {})[event.event_id] = event

    @rule(user=st.sampled_from(USERS), crash=crashes, after=st.booleans())
    def forget(self, user: str, crash: int | None, after: bool) -> None:
        self._write(crash, after, lambda rec: rec.forget_user(user))
        self.events.pop(user, None)

    @rule(crash=st.one_of(st.none(), st.integers(0, 60)), after=st.booleans())
    def work(self, crash: int | None, after: bool) -> None:
        """A worker looks for work and does it, or dies in the middle."""
        client = self.rec.client if crash is None else Mortal(self.rec.client, crash, after)
        with contextlib.suppress(Crash):
            Worker(client).drain(reconcile(SpaceStore(client, self.rec._space)))  # type: ignore[arg-type]

    @rule(size=st.sampled_from([8, 16, 24]))
    def reembed(self, size: int) -> None:
        with contextlib.suppress(SpaceMismatch):
            self.rec.reembed(size=size)

    @rule(version=st.sampled_from([None, 1, 2, 3]))
    def rollback(self, version: int | None) -> None:
        with contextlib.suppress(NotFound):
            self.rec.rollback(version)

    @rule(really=st.integers(0, 4))
    def cancel(self, really: int) -> None:
        if not really:
            for job in self.rec.jobs():
                self.rec.job(job.id).cancel()

    @rule()
    def settle(self) -> None:
        """Workers are left alone until nothing is left to do; then every version must be right."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(lease, "JOB_LEASE_SECONDS", 0.0)  # the leases of dead workers run out
            for _ in range(6):
                Worker(self.rec.client).drain(reconcile(store_of(self.rec)))
        for number in drive(versions(self.rec._space), self.rec.client, NoQueue()).all:
            self._check(number)

    def teardown(self) -> None:
        if not hasattr(self, "rec"):
            return
        try:
            self.settle()
        finally:
            for number in drive(versions(self.rec._space), self.rec.client, NoQueue()).all:
                for kind in COLLECTION_KINDS:
                    self.rec.client.delete_collection(self.rec._space.versioned(kind, number))
            self.rec.close()

    def _points(self, kind: Any, number: int, vectors: bool = True) -> list[Any]:
        name = self.rec._space.versioned(kind, number)
        found, _ = self.rec.client.scroll(name, limit=1_000, with_payload=True, with_vectors=vectors)
        return found

    def _check(self, number: int) -> None:
        size = self.rec.client.get_collection(self.rec._space.versioned("items", number)).config.params.vectors
        width = size["dense"].size  # type: ignore[index]
        items = {point.payload["item_id"]: point for point in self._points("items", number)}
        assert items.keys() == self.items.keys()
        for name, title in self.items.items():
            point = items[name]
            assert point.payload["title"] == title and merged(point.payload)["stale"] is False
            assert merged(point.payload)["legs"] == (["dense", "tfidf"] if title else [])
            if title:
                expected = HashEncoder(width).encode([title])[0]
                assert np.allclose(point.vector["dense"], expected, atol=1e-5)
        users = {point.payload["user_id"]: merged(point.payload) for point in self._points("users", number)}
        assert users.keys() == self.events.keys()
        for name, events in self.events.items():
            newest = sorted(events.values(), key=lambda event: event.ts, reverse=True)
            assert users[name]["stale"] is False and users[name]["n_events"] == len(events)
            assert users[name]["seen"] == list(dict.fromkeys(event.item for event in newest))
        stored = {point.payload["event_id"] for point in self._points("events", number, vectors=False)}
        assert stored == {event for events in self.events.values() for event in events}
        texts = sum(bool(event.text) for events in self.events.values() for event in events.values())
        assert len(self._points("texts", number)) == texts


SHORT = settings(
    max_examples=int(os.environ.get("LLMREC_EXAMPLES", "40")), stateful_step_count=40, deadline=None, database=None,
    derandomize=True, suppress_health_check=list(HealthCheck),
)  # fmt: skip


def test_embedded() -> None:
    run_state_machine_as_test(Space, settings=SHORT)


@pytest.mark.qdrant
@pytest.mark.slow
def test_on_a_server(qdrant_url: str) -> None:
    class OnServer(Space):
        where = {"url": qdrant_url}  # noqa: RUF012

    run_state_machine_as_test(OnServer, settings=settings(SHORT, max_examples=6, stateful_step_count=15))
