"""The whole path on real parts: the app writes, Celery workers encode, one query recommends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig, WorkPendingWarning
from llmrec_qdrant.contracts.answers import SpaceStatus
from llmrec_qdrant.operations import job_records
from llmrec_qdrant.operations.steps import drive
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.space.layout import TRIAL
from tests.services import CeleryWorker, RedisServer
from tests.spaces import drop, fresh_name

pytestmark = [pytest.mark.qdrant, pytest.mark.redis]

CONFIG = SpaceConfig(model="hash", size=64)
TEXTS = [
    "astronauts cross a wormhole",
    "an astronaut alone on Mars",
    "a cook opens a food truck",
    "a rat cooks in Paris",
]
ITEMS = [Item(id=f"i{k}", title=f"film {k}", text=TEXTS[k % 4]) for k in range(200)]
EVENTS = [
    Event(user=f"u{n}", item=f"i{(n + 4 * k) % 200}", type="view", ts=1_600_000_000 + k)
    for n in range(20)
    for k in range(6)
]


@pytest.fixture(scope="module")
def worker(redis_url: str, qdrant_url: str) -> Iterator[CeleryWorker]:
    with CeleryWorker(redis_url, qdrant_url) as started:
        yield started


@pytest.fixture
def rec(qdrant_url: str, redis_url: str) -> Iterator[Recommender]:
    made = Recommender.connect(qdrant_url, space=fresh_name(), broker=redis_url)
    made.create(CONFIG)
    yield made
    drop(made)


def wait_for(rec: Recommender, what: Callable[[SpaceStatus], bool], seconds: float = 60) -> SpaceStatus:
    end = time.monotonic() + seconds
    while not what(status := rec.status()):
        assert time.monotonic() < end, status
        time.sleep(0.05)
    return status


def settled(status: SpaceStatus) -> bool:
    return not (status.items_stale or status.users_stale or status.texts_stale or status.events_unfolded)


def test_workers_encode_what_the_app_writes(worker: CeleryWorker, rec: Recommender) -> None:
    assert rec.upsert_items(ITEMS).queued
    assert rec.track([*EVENTS, Event(user="u0", type="search", text="cook")]).queued
    status = wait_for(rec, settled)
    assert (status.items, status.users, status.events, status.texts) == (200, 20, 121, 1)
    kinds = {int(one.id[1:]) % 4 for one in rec.recommend("u1", 5)}
    assert kinds <= {0, 1}, "u1 sees only films about astronauts"
    assert {int(one.id[1:]) % 4 for one in rec.search("food truck", limit=3)} == {2}


def test_redis_holds_ids_and_no_texts(rec: Recommender, redis_url: str) -> None:
    """No worker listens to this broker's second database, so what was sent can be read."""
    url = redis_url.rsplit("/", 1)[0] + "/9"
    quiet = Recommender.connect(rec._client.init_options["url"], space=rec._space.name, broker=url)
    quiet.upsert_items([Item(id="secret-id", title="a very secret title")])
    quiet.track([Event(user="a secret user", type="search", text="a very secret wish")])
    store = redis.Redis.from_url(url)
    raw = b"".join(store.lrange(key, 0, -1)[0] for key in (b"encode", b"refresh"))
    assert b"llmrec.embed_items" in raw and b"llmrec.refresh_users" in raw
    assert b"secret" not in raw
    store.flushdb()


def test_a_flushed_redis_loses_no_work(worker: CeleryWorker, rec: Recommender, redis_url: str) -> None:
    deaf = Recommender.connect(rec._client.init_options["url"], space=rec._space.name, broker="redis://127.0.0.1:9/0")
    with pytest.warns(WorkPendingWarning, match="did not accept the message"):
        receipt = deaf.upsert_items(ITEMS[:20])
    assert (receipt.written, receipt.queued) == (20, False)
    with pytest.warns(WorkPendingWarning):
        deaf.track([one for one in EVENTS if one.user == "u1"])
    assert rec.status().items_stale == 20
    assert rec.reconcile()
    status = wait_for(rec, settled)
    assert (status.items, status.users) == (20, 1)


def test_the_sweep_finds_work_that_nobody_announced(worker: CeleryWorker, rec: Recommender, redis_url: str) -> None:
    from celery import Celery

    from llmrec_qdrant.testing import MemoryQueue

    silent = Recommender(rec._client, MemoryQueue(), rec._space.name)
    silent.upsert_items(ITEMS[:8])
    Celery(broker=redis_url).send_task("llmrec.sweep", queue="batch")
    wait_for(rec, lambda status: status.items == 8 and settled(status))


def test_the_sweep_clears_what_a_killed_evaluation_left(worker: CeleryWorker, rec: Recommender, redis_url: str) -> None:
    from celery import Celery

    left = Recommender(rec._client, NoQueue(), f"{rec._space.name}-trial-0123abcd")
    left.create(CONFIG)
    rec._client.update_collection(left._space.items, metadata={TRIAL: {"at": "2001-01-01T00:00:00.000000Z"}})
    Celery(broker=redis_url).send_task("llmrec.sweep", queue="batch")
    wait_for(rec, lambda _: not rec._client.collection_exists(left._space.items))
    assert rec.status().items == 0


def test_an_unreadable_message_harms_nobody(worker: CeleryWorker, rec: Recommender, redis_url: str) -> None:
    from celery import Celery

    broken = Celery(broker=redis_url)
    broken.send_task("llmrec.embed_items", kwargs={"space": "../../etc", "ids": []}, queue="encode")
    broken.send_task("llmrec.embed_items", kwargs={"space": "no-such-space", "ids": ["x"]}, queue="encode")
    rec.upsert_items(ITEMS[:4])
    wait_for(rec, settled)


def test_redis_comes_back(rec: Recommender, qdrant_url: str) -> None:
    """Redis dies and returns empty; writes land all the while, and reconcile does the rest."""
    with RedisServer() as own:
        app = Recommender.connect(qdrant_url, space=rec._space.name, broker=own.url)
        app.upsert_items(ITEMS[:4])
        own.kill()
        with pytest.warns(WorkPendingWarning):
            app.upsert_items(ITEMS[4:8])
        own.restart()
        with CeleryWorker(own.url, qdrant_url):
            assert app.reconcile()
            status = wait_for(app, settled)
    assert status.items == 8


def test_a_training_in_a_worker_stops_within_seconds_of_its_cancellation(qdrant_url: str, tmp_path: Path) -> None:
    models = {"LLMREC_MODELS": str(tmp_path / "models")}
    with RedisServer() as own, CeleryWorker(own.url, qdrant_url, env=models) as worker:
        app = Recommender.connect(qdrant_url, space=fresh_name(), broker=own.url)
        app.create(CONFIG)
        with_behaviour(app)
        job = app.train(epochs=1_000, users=60)
        wait_until(lambda: job.progress().state == "running", 60)
        assert job.cancel()
        wait_until(lambda: f"job {job.id} of {app.space} was cancelled" in worker.log, 30)
        assert job.wait().state == "cancelled" and not list((tmp_path / "models").glob(f"{app.space}*"))
        drop(app)


def with_behaviour(app: Recommender) -> None:
    """Sixty users who took items one after the other, encoded by a worker."""
    app.upsert_items([Item(id=f"i{k}", title=f"word{k} other{k % 5}") for k in range(40)])
    app.track(
        Event(user=f"u{n}", item=f"i{(n + 7 * step) % 40}", type="view", ts=1_700_000_000 + 86_400 * step)
        for n in range(60) for step in range(4)
    )  # fmt: skip
    wait_for(app, settled)


def wait_until(happens: Callable[[], bool], seconds: float) -> None:
    """Poll until something happens."""
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.1)


def test_a_worker_killed_while_it_trains_is_followed_by_another(qdrant_url: str, tmp_path: Path) -> None:
    """Redis is empty after the kill: what is left to do is found in Qdrant, and what was done on disk."""
    models = {"LLMREC_MODELS": str(tmp_path / "models")}
    with RedisServer() as own:
        app = Recommender.connect(qdrant_url, space=fresh_name(), broker=own.url)
        app.create(CONFIG)
        with CeleryWorker(own.url, qdrant_url, env=models) as first:
            with_behaviour(app)
            job = app.train(epochs=200, users=60)
            wait_until(lambda: bool((status := job.progress()).note or status.finished_at), 120)
            first.kill()
        redis.Redis.from_url(own.url).flushall()
        record = drive(job_records.find(app._space, job.id), app._client, NoQueue())
        silent = {"heartbeat_at": "2024-01-01T00:00:00.000000Z", "options": {**record.options, "epochs": 1}}
        drive(job_records.replace(app._space, record, record.model_copy(update=silent)), app._client, NoQueue())
        with CeleryWorker(own.url, qdrant_url, env=models):
            app.reconcile()
            status = job.wait(timeout=120)
        assert status.state == "done", status
        assert (tmp_path / "models" / job.result["version"] / "version.json").is_file()
        drop(app)
