"""Jobs that are killed at any write: whatever was left, the next look of the reconciler ends in the same state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from llmrec_qdrant.operations.steps import drive
from llmrec_qdrant.operations.versions import versions
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.space.schema import indexes
from workers.evaluation import job as tuning
from workers.evaluation.tune import Tuning

CONFIG = SpaceConfig(model="hash", size=8)
WRITES = (
    "upsert", "batch_update_points", "delete", "create_collection", "update_collection", "delete_collection",
    "update_collection_aliases",
)  # fmt: skip


class Killed(BaseException):
    """No error: nothing catches it, as nothing catches the death of a process."""


@pytest.fixture
def rec() -> Iterator[Recommender]:
    with Recommender.connect(path=":memory:", space="t") as rec:
        rec.create(CONFIG)
        rec.upsert_items([Item(id=f"i{k}", title=f"space war {k}") for k in range(6)])
        rec.track(
            [
                Event(user=user, item=f"i{k}", type="view", ts=1_600_000_000 + k)
                for user in ("ann", "bob")
                for k in range(3)
            ]
        )
        rec.reconcile()
        yield rec


def killed_before(rec: Recommender, number: int, work: Callable[[], Any]) -> bool:
    """Do the work, and die before its ``number``-th write; False if it has fewer."""
    kept = {name: getattr(rec.client, name) for name in WRITES}
    seen = 0

    def mortal(name: str) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen >= number:
                raise Killed
            return kept[name](*args, **more)

        return call

    for name in WRITES:
        setattr(rec.client, name, mortal(name))
    try:
        with suppress(Killed):
            work()
    finally:
        for name in WRITES:
            setattr(rec.client, name, kept[name])
    return seen >= number


def recover(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """The leases of the dead run out, and the reconciler looks."""
    with monkeypatch.context() as patched:
        patched.setattr("workers.storage.lease.JOB_LEASE_SECONDS", 0.0)
        for _ in range(6):
            rec.reconcile()
    rec._config = None  # instead of waiting until it is read again


def test_a_reembedding_killed_at_any_write_is_finished_by_the_reconciler(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    for write in range(1, 200):
        size = 16 if rec.config.size == 8 else 8
        died = killed_before(rec, write, lambda size=size: rec.reembed(size=size))  # type: ignore[misc]
        recover(rec, monkeypatch)
        job = next((one for one in rec.jobs() if one.kind == "reembed"), None)
        rec._config = None
        assert job is None or job.state == "done", f"write {write}: {job}"
        assert rec.config.size == (size if job else 8)
        status = rec.status()
        assert (status.items, status.items_stale, status.users, status.users_stale) == (6, 0, 2, 0)
        assert {one.id for one in rec.recommend("ann", 6)} == {"i3", "i4", "i5"}
        assert len(drive(versions(rec._space), rec.client, NoQueue()).all) <= 2
        if not died:
            break
    else:
        pytest.fail("a re-embedding does not end")
    assert write > 20


def test_a_version_killed_between_its_indexes_gets_the_rest(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rec.client.create_payload_index
    left = 3

    def mortal(collection_name: str, **more: Any) -> Any:
        nonlocal left
        left -= collection_name == "t_items_v2"
        if not left:
            raise Killed
        return whole(collection_name=collection_name, **more)

    with monkeypatch.context() as patched, suppress(Killed):
        patched.setattr(rec.client, "create_payload_index", mortal)
        rec.reembed(size=16)
    assert rec.client.collection_exists("t_items_v2")
    recover(rec, monkeypatch)
    assert rec.config.size == 16
    for kind in ("items", "users", "texts", "topics"):
        assert rec.client.get_collection(f"t_{kind}_v2").payload_schema.keys() == indexes(kind, rec.config).keys()


def test_tuning_killed_at_any_write_measures_once_what_was_kept_and_stores_it(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    better = CONFIG.model_copy(update={"half_life_days": 7.0})
    measured: list[int] = []

    def tune(store: Any, config: SpaceConfig, **options: Any) -> Tuning:
        measured.append(1)
        options["report"]("choosing", 1, 2)
        return Tuning(10, 20, config, better, confirmed_on=20, before=0.1, after=0.2, better=True)

    monkeypatch.setattr(tuning, "tune", tune)
    for write in range(1, 40):
        rec.create(CONFIG.model_dump())
        measured.clear()
        died = killed_before(rec, write, lambda: rec.tune(users=40))
        recover(rec, monkeypatch)
        found = [one for one in rec.jobs() if one.kind == "tune"]
        assert not found or (found[0].state, len(measured) <= 2) == ("done", True), f"write {write}: {found[0]}"
        if found and measured:
            assert rec.config.half_life_days == 7.0
            assert found[0].result is not None and found[0].result["changes"] == {"half_life_days": 7.0}
        if not died:
            break
    else:
        pytest.fail("tuning does not end")
    assert write > 3 and len(measured) == 1


def test_tuning_is_cancelled_before_it_stores_settings_or_not_at_all(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    better = CONFIG.model_copy(update={"half_life_days": 7.0})
    found = Tuning(10, 20, CONFIG, better, confirmed_on=20, before=0.1, after=0.2, better=True)
    monkeypatch.setattr(tuning, "tune", lambda *given, **options: found)
    whole, cancelled = rec.client.batch_update_points, list[bool]()
    for write in range(1, 40):
        rec.create(CONFIG.model_dump())
        cancelled.clear()
        seen = 0

        def look(*given: Any, write: int = write, **more: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == write:
                monkeypatch.setattr(rec.client, "batch_update_points", whole)
                (job,) = [one for one in rec.jobs() if one.kind == "tune" and one.active] or [None]
                cancelled.append(job is not None and rec.job(job.id).cancel())
            return whole(*given, **more)

        monkeypatch.setattr(rec.client, "batch_update_points", look)
        rec.tune(users=40)
        monkeypatch.setattr(rec.client, "batch_update_points", whole)
        rec._config = None
        state = next(one.state for one in rec.jobs() if one.kind == "tune")
        assert (rec.config.half_life_days == 7.0) == (state == "done") == (cancelled != [True]), f"write {write}"
        if seen < write:
            break
    assert write > 2


def test_without_a_broker_work_is_done_when_the_call_returns_and_watched(rec: Recommender) -> None:
    heard: list[tuple[str, float, float | None]] = []
    with rec.watch(lambda stage, done, total: heard.append((stage, done, total))):
        job = rec.reembed(size=16)
    assert job.progress().state == "done" and job.result["version"] == 2
    stages = [stage for stage, _, _ in heard]
    assert {"creating version", "encoding items", "refreshing users", "encoding", "switching"} <= set(stages)
    assert [one.id for one in rec.jobs()] == ["reembed-1"]
    rec.reembed(size=8)
    assert len(heard) == len(stages)  # nobody listens any more
